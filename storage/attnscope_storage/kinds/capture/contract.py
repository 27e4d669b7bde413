"""The contract of a capture: a policy rolled out, and what its decisions attend to."""

from __future__ import annotations

from attnscope_storage.kinds.capture.compressions import compression_dims
from attnscope_storage.kinds.capture.schema import CaptureDims, CaptureSchema, build_schema
from attnscope_storage.layout.store_schema import SCHEMA_VERSION
from attnscope_storage.wire.contract import Contract, Words, register
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.specifications.captures import CaptureSpec, ResolvedCapture


def capture_schema(
    spec: CaptureSpec,
    resolved: ResolvedCapture,
    policy: PolicyDescription,
    observation_shape: tuple[int, ...] = (2,),
    observation_dtype: str = "int32",
    version: int = SCHEMA_VERSION,
) -> CaptureSchema:
    """Return the arrays that a capture is stored in.

    Parameters
    ----------
    version
        Version of the layout; a capture that an older version began goes on in that version.
    """
    policy = resolved.acting(policy, sliding=spec.sliding)
    envs = resolved.compressor_envs
    kept = spec.rows.enabled and resolved.row_form != "none"
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
            row_envs=resolved.row_envs if kept else None,
            row_layers=resolved.row_layers,
            row_heads=resolved.row_heads,
            row_every=spec.rows.every,
            map_steps=resolved.map_steps,
            map_envs=resolved.row_envs,
            tokens_per_transition=policy.tokens_per_transition,
            row_form="u8" if resolved.row_form == "u8" else "f16",
            bin_envs=resolved.bin_envs,
            curve=resolved.curve,
            latents=policy.latents,
            compressions=None if envs is None else compression_dims(policy, envs),
            output=policy.output,
            version=version,
        )
    )


CONTRACT = register(
    Contract(
        specification=CaptureSpec,
        resolved=ResolvedCapture,
        schema=capture_schema,
        verify="attnscope_storage.kinds.capture.verify:check_capture",
        words=Words(entries="steps", smaller="steps, envs, layers or heads"),
        optional=("attention/", "compression/"),
    )
)
"""The contract of a capture, for both sides."""
