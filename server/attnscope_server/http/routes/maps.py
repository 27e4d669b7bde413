"""Attention of any committed step by replay, and what else a rebuilt decision tells."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from attnscope_server.errors import refusal
from attnscope_server.http.access import DataReader, Service, problems
from attnscope_server.http.routes.captures import opened
from attnscope_server.http.slices import INTEGER, as_npy, parse_selector
from attnscope_server.replaying.answers import Question, refuse_too_large
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import as_u8
from attnscope_storage.wire import MAP_DIMS, MapFormat, MapKind, Positions, ProblemCode, contracts
from attnscope_storage.wire.echo import JOB_HEADER, SELECTION_HEADER, echo_of
from attnscope_storage.wire.policies import RecordedPolicy

router = APIRouter(tags=["captures"], prefix="/captures/{job_id}")

PARAMETERS = frozenset({"step", "env", "layers", "heads", "kind", "positions", "transitions", "format"})

Selector = Annotated[str | None, Query(description="7 (drops the axis), a:b, a:b:c or 1,4,9; all where left out.")]


@router.get(
    "/maps",
    response_class=Response,
    responses=problems(
        ProblemCode.NOT_FOUND,
        ProblemCode.GONE,
        ProblemCode.TOO_LARGE,
        ProblemCode.NOT_COMMITTED,
        ProblemCode.NOT_REPLAYABLE,
        ProblemCode.TOO_MANY_REQUESTS,
        ProblemCode.REPLAY_DIFFERS,
    )
    | {
        200: {
            "description": "Values, dims in X-Attnscope-Dims, first transition of the window in X-Attnscope-Start",
            "content": {"application/octet-stream": {}},
        },
        304: {"description": "Unchanged"},
    },
)
async def get_maps(
    job_id: UUID,
    request: Request,
    state: Service,
    identity: DataReader,
    step: Annotated[str, Query(description="A committed step; negative counts from the committed end.")],
    env: Annotated[int, Query(ge=0, description="Entry of the env axis.")] = 0,
    kind: Annotated[
        MapKind,
        Query(
            description="weights, value-weighted (Kobayashi 2020), rollout (Abnar 2020), leave-one-out or "
            "leave-one-latent-out."
        ),
    ] = "weights",
    layers: Selector = None,
    heads: Selector = None,
    transitions: Annotated[
        str | None, Query(description="Of leave-one-out: places in the window, as a selector; 0 is the oldest.")
    ] = None,
    positions: Annotated[
        Positions | None,
        Query(description="Of leave-one-out: reindex (packed anew, the default) or mask (in place, unseen)."),
    ] = None,
    form: Annotated[
        MapFormat, Query(alias="format", description="npy (float32), f16 (npy), or u8: round(254·√x) of weights.")
    ] = "npy",
) -> Response:
    """Return whole attention maps of any committed step, computed again from the stored rollout and the checkpoint.

    `weights` and `value-weighted` are [layer, head, query, slot], `rollout` [layer, query, slot], `leave-one-out`
    [transition], `leave-one-latent-out` [latent]. What is returned was checked against the logits, entropies and
    decision rows stored of that step; a difference is a problem, never another map.
    """
    unknown = request.query_params.keys() - PARAMETERS
    if unknown:
        raise refusal(ProblemCode.INVALID_REQUEST, f"unknown parameters: {', '.join(sorted(unknown))[:200]}")
    place, reader = await run_in_threadpool(opened, state, identity, job_id)
    refuse_unreplayable(reader.kind)
    selectors = {"layer": layers, "head": heads, "transition": transitions}
    question, dropped = await run_in_threadpool(parse_question, (place, reader), step, env, kind, selectors, positions)
    if form != "npy":
        _refuse_format(kind, form)
    refuse_too_large(question, reader.policy, state.settings.limits)
    tag = question.tag(f"{form} {sorted(dropped)}")
    headers = {"ETag": tag, JOB_HEADER: str(job_id), SELECTION_HEADER: echo_of(request.query_params.multi_items())}
    headers |= await run_in_threadpool(_described, question, reader)
    if tag in [sent.strip() for sent in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    found = await state.replays.answer(identity.owner, question)
    return await run_in_threadpool(encoded, found, MAP_DIMS[kind], dropped, form, headers)


def _described(question: Question, reader: CaptureReader) -> dict[str, str]:
    """Return the headers that say which window of which capture an answer is of."""
    return {
        "Cache-Control": "private, no-cache",
        "X-Attnscope-Step": str(question.step),
        "X-Attnscope-Env": str(question.env),
        "X-Attnscope-Start": str(_start(question, reader)),
        "X-Attnscope-Committed": str(reader.steps_committed),
        "X-Attnscope-Complete": str(reader.complete).lower(),
    }


def _start(question: Question, reader: CaptureReader) -> int:
    """Return the oldest transition that stands in a context as itself."""
    if reader.policy.window == "compressed":
        return int(reader.array("context/start")[question.step, question.env])
    return question.step - (question.tokens - 1) // reader.policy.tokens_per_transition


def refuse_unreplayable(kind: str) -> None:
    """Refuse to replay a store of a kind whose stored steps do not determine their maps."""
    known = contracts().get(kind)
    why = f"nothing is known of how a {kind} was made" if known is None else known.not_replayable
    if why is not None:
        raise refusal(ProblemCode.NOT_REPLAYABLE, why)


def parse_question(
    capture: tuple[UUID, CaptureReader],
    step: str,
    env: int,
    kind: str,
    selectors: dict[str, str | None],
    positions: str | None,
) -> tuple[Question, set[str]]:
    """Return what is asked, with every index checked, and the axes that a single index drops.

    Raises
    ------
    ProblemError
        invalid-request for what makes no sense, not-committed for a step beyond the commit.
    """
    place, reader = capture
    policy = reader.policy
    if (reason := policy.why_whole) is not None and (kind == "leave-one-out" or not policy.whole_maps):
        raise refusal(ProblemCode.NOT_REPLAYABLE, f"{_offered(policy)} of this capture: {reason}")
    if kind == "leave-one-latent-out" and policy.window != "compressed":
        raise refusal(ProblemCode.NOT_REPLAYABLE, "the policy packs nothing, so no context of it holds latents")
    if not INTEGER.fullmatch(step):
        raise refusal(ProblemCode.INVALID_REQUEST, f"step: expected one step, got {step[:40]!r}")
    at = parse_selector(step, "step", reader.steps_committed)
    assert isinstance(at, int)  # noqa: S101 - an integer selects one
    envs = reader.root.arrays["env/task"].shape[0]
    if env >= envs:
        raise refusal(ProblemCode.INVALID_REQUEST, f"env {env} lies beyond the {envs} there are")
    held = min(at, policy.transitions)
    tokens = held * policy.tokens_per_transition + 1
    latents = 0
    if policy.window == "compressed":
        tokens, latents = (int(reader.array(f"context/{name}")[at, env]) for name in ("length", "summaries"))
    dims = MAP_DIMS[kind]
    picked: dict[str, tuple[int, ...]] = {}
    dropped = set()
    for dim, size in (("layer", policy.layers), ("head", policy.heads), ("transition", held)):
        text = selectors[dim]
        if dim not in dims and text is not None:
            raise refusal(ProblemCode.INVALID_REQUEST, f"{dim}s: {kind} has the axes {', '.join(dims)}")
        if dim in dims:
            axis = parse_selector(":" if text is None else text, dim, size)
            if isinstance(axis, int):
                dropped.add(dim)
            picked[f"{dim}s"] = tuple(np.atleast_1d(np.arange(size)[axis]).tolist())
    if positions is not None and kind != "leave-one-out":
        raise refusal(ProblemCode.INVALID_REQUEST, f"positions: {kind} leaves nothing out")
    question = Question(
        capture=str(reader.attributes["capture_id"]),
        job=str(place),
        step=at,
        env=env,
        kind=kind,
        positions=positions or "reindex",
        tokens=tokens,
        latents=latents,
        **picked,
    )
    return question, dropped


def _offered(policy: RecordedPolicy) -> str:
    """Return the beginning of the sentence that refuses a question about a policy."""
    return "only maps are replayed" if policy.whole_maps else "only decision rows are stored"


def _refuse_format(kind: str, form: str) -> None:
    fits = {"u8": {"weights", "rollout"}, "f16": {"weights", "rollout", "value-weighted"}}
    if kind not in fits[form]:
        detail = f"format: {form} holds {' and '.join(sorted(fits[form]))}, not {kind}; ask for npy"
        raise refusal(ProblemCode.INVALID_REQUEST, detail)


def encoded(
    found: Any,  # noqa: ANN401 - an array of the kind's shape
    dims: tuple[str, ...],
    dropped: set[str],
    form: str,
    headers: dict[str, str],
) -> Response:
    """Return the answer in the format asked for."""
    values = found[tuple(0 if dim in dropped else slice(None) for dim in dims)]
    values = as_u8(values) if form == "u8" else values.astype(np.float16 if form == "f16" else np.float32)
    headers |= {
        "X-Attnscope-Dims": ",".join(dim for dim in dims if dim not in dropped),
        "X-Attnscope-Shape": ",".join(map(str, values.shape)),
        "X-Attnscope-Dtype": str(values.dtype),
    }
    content = values.tobytes() if form == "u8" else as_npy(values)
    return Response(content, headers=headers, media_type="application/octet-stream")
