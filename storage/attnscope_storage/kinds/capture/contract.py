"""The contract of a capture: a policy rolled out, and what its decisions attend to."""

from __future__ import annotations

from attnscope_storage.kinds.capture.schema import CaptureDims, CaptureSchema, build_schema
from attnscope_storage.wire.catalogue import PolicyDescription
from attnscope_storage.wire.contract import Contract, Words, register
from attnscope_storage.wire.specifications.captures import CaptureSpec, ResolvedCapture


def capture_schema(
    spec: CaptureSpec,
    resolved: ResolvedCapture,
    policy: PolicyDescription,
    observation_shape: tuple[int, ...] = (2,),
    observation_dtype: str = "int32",
) -> CaptureSchema:
    """Return the arrays that a capture is stored in."""
    return build_schema(
        CaptureDims(
            steps=resolved.steps,
            envs=resolved.envs,
            layers=policy.layers,
            heads=policy.heads,
            slots=policy.context_length,
            actions=policy.actions,
            observation_shape=observation_shape,
            observation_dtype=observation_dtype,
            row_envs=resolved.row_envs if spec.rows.enabled else None,
            row_layers=resolved.row_layers,
            row_heads=resolved.row_heads,
            row_every=spec.rows.every,
            map_steps=resolved.map_steps,
            map_envs=resolved.row_envs,
            tokens_per_transition=policy.tokens_per_transition,
        )
    )


CONTRACT = register(
    Contract(
        specification=CaptureSpec,
        resolved=ResolvedCapture,
        schema=capture_schema,
        verify="attnscope_storage.kinds.capture.verify:check_capture",
        words=Words(entries="steps", smaller="steps, envs, layers or heads"),
        optional=("attention/",),
    )
)
"""The contract of a capture, for both sides."""
