"""Training seeds of a recipe, found by what the entries of checkpoints say."""

from __future__ import annotations

import json

import pytest

from attnscope.cli.arms import found_alike, recipes
from attnscope.measures.refusals import NotMeasurableError
from attnscope.trials.likeness import seeds_like
from attnscope_model.checkpoints.native import ENTRY
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_storage.wire import CheckpointInfo


@pytest.fixture(scope="module")
def listed():
    """Return entries of three training seeds, a second step of one of them, another recipe, and one that says none."""
    said = json.loads((shipped_checkpoints()[0] / ENTRY).read_bytes())

    def entry(name, **facts):
        return CheckpointInfo.model_validate(said | {"id": f"{name:x<64}", "name": name} | facts)

    seeds = [entry(f"mine-seed{n}@9", recipe="r" * 64, training_seed=n, train_step=9) for n in (2, 0, 1)]
    others = [
        entry("mine-seed0@5", recipe="r" * 64, training_seed=0, train_step=5),
        entry("other-seed0@9", recipe="s" * 64, training_seed=0, train_step=9),
        entry("silent@9"),
    ]
    return [*seeds, *others]


def test_the_seeds_of_a_recipe_are_found_in_order(listed):
    """Checkpoints of one plan at one step come by their training seeds, whichever of them is named."""
    assert seeds_like(listed, "mine-seed2@9") == ("mine-seed0@9", "mine-seed1@9", "mine-seed2@9")
    typed = {"recipes": recipes(["mine=like:mine-seed1", "fixed=a,b"])}
    found = found_alike(typed, lambda: listed)["recipes"]
    assert found[0]["checkpoints"] == ("mine-seed0@9", "mine-seed1@9", "mine-seed2@9")
    assert found[1]["checkpoints"] == ("a", "b")


def test_named_seeds_ask_nobody():
    """No list of checkpoints is fetched where every training seed is named."""
    typed = {"recipes": recipes(["mine=a,b"])}
    assert found_alike(typed, lambda: pytest.fail("the service was asked")) is typed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("silent@9", "does not say by which plan"),
        ("other-seed0@9", "no other training seed"),
        ("nobody", "none is registered"),
        ("mine-seed0", "mine-seed0@9, mine-seed0@5 registered"),
    ],
)
def test_what_cannot_be_found_is_refused_in_words(listed, name, words):
    """Entries that say no plan, that stand alone, and names that fit none or several."""
    with pytest.raises(NotMeasurableError, match=words):
        seeds_like(listed, name)


def test_a_training_seed_that_is_there_twice_is_refused(listed):
    """Two checkpoints of one seed, from two machines perhaps, are not two seeds."""
    again = listed[0].model_copy(update={"id": "f" * 64, "name": "again@9"})
    with pytest.raises(NotMeasurableError, match="are both of training seed 2"):
        seeds_like([*listed, again], "mine-seed0@9")
