"""The specification of a small capture and its resolved form, for tests that write jobs into a database."""

from __future__ import annotations

from attnscope_storage.wire import CaptureSpec, ResolvedCapture

SPEC = CaptureSpec(checkpoint="AD-toy", steps=5)
RESOLVED = ResolvedCapture(
    checkpoint_id="c" * 64,
    checkpoint_name="AD-toy@1",
    environment_id="attnscope/Darkroom-v0",
    preset="darkroom-reference",
    horizon=20,
    tasks=(),
    held_out=None,
    envs=1,
    steps=5,
    map_steps=(),
    row_envs=(0,),
    row_layers=(0,),
    row_heads=(0,),
)
