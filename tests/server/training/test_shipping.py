"""Shipping: which run counts as trained."""

from __future__ import annotations

import pytest

from attnscope_server.training.run import PlanChangedError, TrainingRun
from attnscope_server.training.shipping import trained


@pytest.mark.parametrize("layout", ["native", "reference"])
def test_a_run_is_trained_when_its_last_checkpoint_is_whole_and_of_its_plan(plan, tmp_path, layout):
    """Not before its end, not with a damaged file; a folder of another plan is refused rather than shipped."""
    plan = plan.model_copy(update={"layout": layout})
    folder = tmp_path / "run"
    assert not trained(folder, plan, 8)
    run = TrainingRun(folder, plan)
    run.advance(until=4)
    assert trained(folder, plan, 4)
    assert not trained(folder, plan, 8)
    run.advance()
    assert trained(folder, plan, 8)
    with pytest.raises(PlanChangedError, match=r"recipe\.steps.* differ"):
        trained(folder, plan.model_copy(update={"recipe": plan.recipe.__class__(steps=4)}), 4)
    file = folder / "ckpt-8.pt" if layout == "reference" else folder / "step-8" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    assert not trained(folder, plan, 8)
