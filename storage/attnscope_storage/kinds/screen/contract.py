"""The contract of a screen: a policy's decisions on stored histories under every arm, beside itself uncompressed."""

from __future__ import annotations

from attnscope_storage.kinds.screen.schema import ScreenDims, ScreenSchema, build_screen_schema
from attnscope_storage.wire.contract import Contract, Words, register
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.specifications.screens import ResolvedScreen, ScreenSpec


def screen_schema(spec: ScreenSpec, resolved: ResolvedScreen, policy: PolicyDescription) -> ScreenSchema:
    """Return the arrays that a screen is stored in."""
    del spec
    return build_screen_schema(
        ScreenDims(
            rollouts=len(resolved.envs),
            arms=len(resolved.arms),
            decisions=resolved.decisions_each,
            actions=policy.actions,
            output=policy.output,
            rows=resolved.rows,
            block=resolved.block,
            bands=len(resolved.bands),
            episodes=resolved.episodes_back,
        )
    )


CONTRACT = register(
    Contract(
        specification=ScreenSpec,
        resolved=ResolvedScreen,
        schema=screen_schema,
        verify="attnscope_storage.kinds.screen.verify:check_screen",
        words=Words(entries="rollouts", smaller="strategies, budgets, positions or decisions"),
        optional=("screen/retained", "screen/signed", "screen/kl", "screen/flip", "ages/", "episodes/"),
        not_replayable="a screen stores no context that could be rebuilt; replay the capture that it reads",
    )
)
"""The contract of a screen, for both sides."""
