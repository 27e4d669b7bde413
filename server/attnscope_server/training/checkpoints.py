"""Checkpoints of a run: the native format with its entry, or the reference's own file."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from attnscope_model.checkpoints.conversion import write_entry
from attnscope_model.checkpoints.native import CONFIG, WEIGHTS, config_bytes, identity
from attnscope_model.checkpoints.recipes import recipe_of
from attnscope_model.families.ad import ADConfig, ADPolicy, stored_config
from attnscope_model.families.cccad import CccadPolicy
from attnscope_model.families.compressing import CadPolicy
from attnscope_model.families.packing import PackingConfig
from attnscope_model.families.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.families.tokens import CellConfig
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.training.cccad_file import write_cccad_file
from attnscope_model.training.reference_file import write_reference_file
from attnscope_server.training.layouts import ROOMS
from attnscope_server.training.plan import TaskLists, TrainingPlan
from attnscope_storage.wire import CheckpointInfo


def new_policy(plan: TrainingPlan) -> StackedPolicy:
    """Return the plan's policy, not initialised."""
    room = plan.environment()
    actions = len(room.actions)
    if plan.layout == "reference":
        return ReferencePolicy(ReferenceConfig(**asdict(cell_config(plan)), causal=True))
    if plan.layout == "cccad":
        return CccadPolicy(cell_config(plan))
    if plan.layout == "cad":
        return CadPolicy(packing_config(plan))
    if room.features is None:
        raise TypeError(f"expected a preset whose observations are counted, got {room.name}")
    return ADPolicy(
        ADConfig(
            features=room.features,
            actions=actions,
            context_length=plan.context_length,
            positions=plan.positions,
            clock_steps=plan.clock_steps,
            clock_episodes=plan.clock_episodes,
            width=plan.width,
            layers=plan.layers,
            heads=plan.heads,
            feedforward=plan.feedforward,
        )
    )


def cell_config(plan: TrainingPlan) -> CellConfig:
    """Return the sizes of a policy in a square room."""
    room = plan.environment()
    return CellConfig(
        width=plan.width,
        layers=plan.layers,
        heads=plan.heads,
        context_length=plan.context_length,
        feedforward=plan.feedforward,
        grid_size=int(room.kwargs["size"]),
        actions=len(room.actions),
    )


def packing_config(plan: TrainingPlan) -> PackingConfig:
    """Return the sizes of a policy that packs its history and of its compressor, which takes whole contexts."""
    own = plan.compressor
    return PackingConfig(
        **asdict(cell_config(plan)),
        latents=own.latents,
        compressor_layers=own.layers,
        compressor_heads=own.heads,
        compressor_feedforward=plan.feedforward,
        compressor_positions=plan.context_length - 1,
    )


def write_checkpoint(folder: Path, plan: TrainingPlan, policy: StackedPolicy, step: int) -> Path:
    """Write what the policy is after `step` steps, in its layout, and return where."""
    if isinstance(policy, ReferencePolicy | CccadPolicy | CadPolicy):
        config = _said_of_the_room(plan)
        lists = plan.task_lists()
        tasks = {"train": lists.train, "validation": lists.validation, "held_out": lists.test}
        if isinstance(policy, ReferencePolicy):
            return write_reference_file(folder, policy, step, config, tasks)
        shape = packing_config(plan) if isinstance(policy, CadPolicy) else cell_config(plan)
        return write_cccad_file(folder, policy, shape, step, config, tasks)
    if not isinstance(policy, ADPolicy):
        raise TypeError(f"expected a policy of a layout that is written here, got {type(policy).__name__}")
    path = folder / f"step-{step}"
    write_native(path, policy, plan, step, name=f"{plan.run_name}@{step}")
    return path


def _said_of_the_room(plan: TrainingPlan) -> dict[str, Any]:
    """Return what a layout's configuration says of the environment and of its split."""
    room = plan.environment()
    return {
        "env": ROOMS[plan.layout][plan.preset],
        "horizon": room.horizon,
        "env_split_seed": room.kwargs["split_seed"],
        "train_env_ratio": room.kwargs["train_ratio"],
        "alg_seed": plan.recipe.seed,
    }


def write_native(
    folder: Path,
    policy: ADPolicy,
    plan: TrainingPlan,
    step: int,
    *,
    name: str,
    tensors: dict[str, Tensor] | None = None,
) -> CheckpointInfo:
    """Write weights, configuration and entry; the entry names train, validation and held-out tasks.

    Parameters
    ----------
    tensors
        Weights to write in place of the policy's own, e.g. the same in half precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = policy.state_dict() if tensors is None else tensors
    weights = save({key: tensor.contiguous() for key, tensor in kept.items()})
    config = config_bytes(stored_config(policy.config))
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_bytes(config)
    tasks: TaskLists = plan.task_lists()
    info = CheckpointInfo(
        id=identity(weights, config),
        name=name,
        policy=policy.description,
        preset=plan.preset,
        causal_stated_by="family",
        train_tasks=tuple(sorted(tasks.train)),
        validation_tasks=tuple(sorted(tasks.validation)),
        held_out_tasks=tuple(sorted(tasks.test)),
        train_step=step,
        trained_under=None if plan.under is None else plan.under.told(),
        trained_from=None if plan.start is None else plan.start.checkpoint,
        **recipe_of(plan.model_dump(mode="json")),
        source_sha256=hashlib.sha256(weights).hexdigest(),
        source_name=f"{plan.run_name}/step-{step}",
        added_at=datetime.now(UTC),
        notes=_notes(plan),
    )
    write_entry(folder, info)
    return info


def _notes(plan: TrainingPlan) -> tuple[str, ...]:
    """Return the facts about a policy of this plan that a reader of its entry must know."""
    notes = ["A history longer than the context is cut to its newest transitions and computed afresh."]
    if plan.under is not None:
        notes.append(f"It was trained under {plan.under.text}: it has seen only contexts that are shortened so.")
    if plan.start is not None:
        notes.append(f"Its training went on from {plan.start.name}.")
    return tuple(notes)
