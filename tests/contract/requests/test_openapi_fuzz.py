"""Random requests: every operation of the OpenAPI document, chunk keys, and the grammar of slices."""

from __future__ import annotations

import io
from urllib.parse import quote

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from attnscope_server.root.captures import Captures
from attnscope_storage.layout.keys import Committed, Metadata
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE

BOUNDED = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Few examples and the same ones each time: a change of the service is tried, not luck."""

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture(scope="module")
def api(furnished):
    """Return the document that the service serves, aimed at it."""
    document = furnished.http.get(f"{furnished.url}/v1/openapi.json", headers=furnished.key("local")).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=furnished.url)
    return schema


@pytest.fixture(scope="module")
def key(furnished):
    """Return the header of a key of an owner who has nothing but the finished job's neighbours."""
    return furnished.key("local")


@pytest.fixture(scope="module")
def stranger(furnished):
    """Return the header of an owner whose jobs nobody misses."""
    return furnished.key("a fuzzer")


def bombard(operation, job: str | None, options: dict) -> None:
    """Send what the operation's schema allows, and what it forbids; about a job where one is named."""

    @BOUNDED
    @given(case=operation.as_strategy())
    def every(case):
        if job is not None and "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = job
        case.call_and_validate(checks=CHECKS, **options)

    every()


def test_no_operation_breaks_its_document(furnished, api, key, stranger):
    """Whatever is sent, there is no 5xx, no undocumented status and no undocumented media type."""
    tried = set()
    with requests.Session() as session:
        for found in api.get_all_operations():
            operation = found.ok()

            headers = key if operation.method in {"get", "patch"} else stranger
            job = None if operation.method == "delete" else furnished.job
            bombard(operation, job, {"headers": headers, "timeout": 30, "session": session})
            tried.add(operation.label)
    assert len(tried) >= 14


PARTS = st.sampled_from(
    ["..", ".", "", "attention", "rows", "c.0.0.0.0.0", "c.0", "c.0.0", "rollout", "action", "zarr.json", "~", "\\"]
)
KEYS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="acdelnorstwz/.0123-_%\\\0 ?#", max_size=30),
    st.lists(PARTS, max_size=6).map("/".join),
)


@settings(BOUNDED, max_examples=80)
@given(name=KEYS)
def test_a_chunk_key_is_the_captures_own_or_absent(furnished, key, name):
    """Over HTTP as in the store: what the root lists is served bit for bit, anything else is 404."""
    reader = Captures(furnished.running.settings.data_root).open(furnished.job)
    path = f"{furnished.url}/v1/captures/{furnished.job}/zarr/{quote(name, safe='/')}"
    answer = furnished.http.get(path, headers=key)
    # The client resolves dots before it sends; what arrives is what must be judged.
    sent = answer.request.url.path.partition("/zarr/")[2]
    located = reader.locate(sent)
    if isinstance(located, Committed):
        assert (answer.status_code, answer.content) == (200, reader.chunk_bytes(sent))
    elif isinstance(located, Metadata):
        assert (answer.status_code, answer.content) == (200, reader.metadata_bytes(sent))
    else:
        assert answer.status_code in {401, 404, 405}, answer.text
        assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE


NUMBERS = st.integers(-60, 60).map(str)
SELECTORS = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, min_size=1, max_size=4).map(",".join),
    st.lists(st.one_of(NUMBERS, st.just("")), min_size=2, max_size=4).map(":".join),
    st.text(alphabet="0123456789:,-+ .e\u0663", max_size=8),
)


def numpys(text: str, size: int) -> slice | int | list[int] | None:
    """Return what NumPy calls a selector, None where the grammar has no such one."""
    try:
        if ":" in text:
            bounds = [int(part) if part else None for part in text.split(":")]
            step = bounds[2] if len(bounds) > 2 else None
            return None if len(bounds) > 3 or (step is not None and step < 1) else slice(*bounds)
        entries = [int(part) for part in text.split(",")]
    except (ValueError, TypeError):
        return None
    inside = all(-size <= entry < size for entry in entries)
    return (entries if "," in text else entries[0]) if inside else None


@settings(BOUNDED, max_examples=120)
@given(step=SELECTORS, action=SELECTORS)
def test_a_slice_is_numpys_or_refused(furnished, key, step, action):
    """A selector that is answered is answered with NumPy's cut; every other one is refused by a problem."""
    whole = Captures(furnished.running.settings.data_root).open(furnished.job).array("policy/logits")[:]
    answer = furnished.http.get(
        f"{furnished.url}/v1/captures/{furnished.job}/slice",
        params={"array": "policy/logits", "step": step, "action": action},
        headers=key,
    )
    if answer.status_code != 200:
        assert answer.status_code in {400, 416}, answer.text
        assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
        return
    first, last = numpys(step, whole.shape[0]), numpys(action, whole.shape[2])
    assert first is not None, step
    assert last is not None, action
    expected = whole[..., last][first] if not isinstance(last, list) else np.take(whole, last, axis=2)[first]
    got = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert np.array_equal(got, expected)
