"""The sentences that belong beside a screen's table: what may not be believed, dips, and where votes disagree."""

from __future__ import annotations

from attnscope.screens.ages import ages_of
from attnscope.screens.agreement import disagreement, doubts
from attnscope.screens.board import name_of
from attnscope.screens.dips import Dip, dips
from attnscope.screens.packing import packing_sentences
from attnscope.screens.predicted import applies, basis
from attnscope.screens.results import ScreenResults


def screen_sentences(results: ScreenResults) -> list[str]:
    """Return what a reader must know beside the table, in plain sentences."""
    found = warned(results)
    found += [f"dip: {_dip(results, dip)}" for dip in dips(results)]
    found += disagreement(results)
    found += _misleading(results)
    found += packing_sentences(results)
    if applies(results):
        found.append(basis())
    return found


def _departures(results: ScreenResults) -> list[str]:
    """Return what a departure is, where it is not the total variation of one choice."""
    output = results.policy.output
    if output.one_choice:
        return []
    found = [f"a departure here is the {output.departure}"]
    if not output.is_share:
        found.append("its numbers order the arms of one rule; they count no actions and predict no cost")
    return found


def warned(results: ScreenResults) -> list[str]:
    """Return what a screen's departures are, and why it may not be believed: too few rollouts, too few that earn."""
    found = [*_departures(results), *results.notes]
    tasks, least = len(results.resampling.per_task), int(results.resampling.per_task.min())
    if not results.reliable:
        found.append(
            f"the intervals rest on {tasks} tasks of {least} rollouts and more: fewer than 8 tasks of 4 rollouts, so "
            "they are too narrow to rely on"
        )
    if not results.orders:
        found.append(
            f"only {results.earning:.0%} of the rollouts earn anything: departures of a policy that has not found its "
            "goal do not order rules, nor the ways to stand within one, and no order is claimed here"
        )
    return [*found, *doubts(results).sentences]


def _dip(results: ScreenResults, dip: Dip) -> str:
    arm = results.arms[dip.arm]
    return (
        f"{name_of(arm)} under {arm.positions} departs {dip.depth:.0%} less at {dip.count} transitions than one or two "
        f"transitions away (95 % {dip.low:.0%} to {dip.high:.0%})"
    )


def _misleading(results: ScreenResults) -> list[str]:
    """Return where attention misleads, each way in one sentence."""
    ages, found = ages_of(results), list[str]()
    if ages is None:
        return found
    for how in ("used, hardly seen", "seen, hardly used"):
        mine = [band for band, one in zip(ages.bands, ages.misleads, strict=True) if one == how]
        if mine:
            ranges = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in _joined(mine))
            found.append(f"attention misleads at ages {ranges}: {how}")
    return found


def _joined(bands: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return bands with those that follow each other as one."""
    found = bands[:1]
    for first, last in bands[1:]:
        if first == found[-1][1] + 1:
            found[-1] = found[-1][0], last
        else:
            found.append((first, last))
    return found
