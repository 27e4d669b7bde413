"""Training seeds of a recipe, found by what the entries of a service's checkpoints say of their plans."""

from __future__ import annotations

from collections.abc import Sequence

from attnscope.measures.refusals import NotMeasurableError
from attnscope_storage.wire import CheckpointInfo

BY_HAND = "name its training seeds yourself: --recipe NAME=CKPT,CKPT,…"


def seeds_like(checkpoints: Sequence[CheckpointInfo], name: str) -> tuple[str, ...]:
    """Return the names of the checkpoints of one recipe at one step of training, by training seed.

    Parameters
    ----------
    checkpoints
        Those of a service.
    name
        One of them: by its id, its name, a former name, or the only one that begins so.

    Raises
    ------
    NotMeasurableError
        There is no such checkpoint, its entry says no plan, no other training seed of it is there, or one is there
        twice.
    """
    own = _found(checkpoints, name)
    if own.recipe is None or own.training_seed is None:
        raise NotMeasurableError(f"the entry of {own.name} does not say by which plan it was trained; {BY_HAND}")
    alike = [one for one in checkpoints if (one.recipe, one.train_step) == (own.recipe, own.train_step)]
    by_seed: dict[int, CheckpointInfo] = {}
    for one in alike:
        seed = -1 if one.training_seed is None else one.training_seed
        if seed in by_seed:
            twice = f"{by_seed[seed].name} and {one.name} are both of training seed {seed} of this recipe"
            raise NotMeasurableError(f"{twice}; {BY_HAND}")
        by_seed[seed] = one
    if len(by_seed) == 1:
        raise NotMeasurableError(
            f"no other training seed of the recipe of {own.name} is registered at step {own.train_step}; {BY_HAND}"
        )
    return tuple(by_seed[seed].name for seed in sorted(by_seed))


def _found(checkpoints: Sequence[CheckpointInfo], name: str) -> CheckpointInfo:
    exact = [one for one in checkpoints if name in {one.id, one.name, *one.former_names}]
    found = exact or [one for one in checkpoints if one.name.startswith(name) or one.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    said = ", ".join(one.name for one in found) or "none is"
    raise NotMeasurableError(f"expected one checkpoint called {name}, and {said} registered")
