"""The ways in which people save one policy: the AD reference's state dict, wrapped, renamed, packed and mislaid."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import gzip
import io
import pathlib
import pickle  # noqa: TID251 - some people save a plain pickle
import random
import types
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from forwards.layouts import CONFIG, LAYOUTS

STATE = LAYOUTS["reference"].state()
CFG = {**CONFIG, "tf_n_layer": 3, "n_transit": 24, "lr": 0.01, "env_split_seed": 0, "train_env_ratio": 0.9}
BASE = {"step": 1000, "config": CFG, "model": STATE}
STATED = {"heads": 4, "preset": "darkroom-reference"}
"""The statements that stand for a configuration that is not read."""


class Part(nn.Module):
    """A module that holds the policy's parameters under their names."""

    def __init__(self) -> None:
        super().__init__()
        for name, value in STATE.items():
            self.register_buffer(name.replace(".", "__"), value)


@dataclasses.dataclass
class Settings:
    """A configuration of the trainer's own."""

    tf_n_head: int = 4
    env: str = "darkroom"


class Kind(enum.Enum):
    """A choice of the trainer's own."""

    AD = "ad"


@dataclass(frozen=True)
class Way:
    """One way to save, and what becomes of it."""

    content: Any = None
    write: Callable[[Any, Path], None] = torch.save
    name: str = "ckpt-1000.pt"
    add: Mapping[str, Any] = field(default_factory=dict)
    """The user's statements where the file has none."""
    choose: Mapping[str, Any] = field(default_factory=dict)
    """The values of `--key`, `--prefix` and `--ignore`."""
    refused: str | None = None
    """The refusal's words, without `choose` where that has something; None: it is read."""
    state: Mapping[str, torch.Tensor] = field(default_factory=lambda: STATE)
    """The weights that are read, whatever they are saved as."""


def _with(**changes: Any) -> dict[str, Any]:
    return {**BASE, **changes}


def _cfg(**changes: Any) -> dict[str, Any]:
    return _with(config={**CFG, **changes})


def _pre(prefix: str, state: Mapping[str, Any] = STATE) -> dict[str, Any]:
    return {prefix + name: value for name, value in state.items()}


def _optimizer() -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    parameter = nn.Parameter(torch.ones(3))
    adam, sgd = torch.optim.AdamW([parameter], lr=0.1), torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.grad = torch.ones(3)
    adam.step()
    sgd.step()
    return adam, sgd


ADAM, SGD = _optimizer()
PLATEAU = {"last_epoch": 5, "best": float("inf")}
EMA = {name: value + 0.01 if value.is_floating_point() else value for name, value in STATE.items()}
AVERAGED = {**_pre("module."), "n_averaged": torch.tensor(3)}
INNER = {n.replace("layers.0.", "layers.0._checkpoint_wrapped_module."): v for n, v in STATE.items()}
COMPILED_INSIDE = {n.replace("transformer_encoder.", "transformer_encoder._orig_mod."): v for n, v in STATE.items()}
MASK = torch.full((24, 24), float("-inf")).triu(1)
TURNED = {**STATE, "pred_action.weight": STATE["pred_action.weight"].t().clone().t()}
TIED = {**STATE, "pred_action.weight": STATE["embed_query_state.weight"][:5]}
VIEWS = {**STATE, "embed_query_state.weight": torch.cat([STATE["embed_query_state.weight"], torch.ones(99, 32)])[:81]}
BF16 = {name: value.bfloat16() for name, value in STATE.items()}
FP16 = {name: value.half() for name, value in STATE.items()}
NUMPY = {name: value.numpy() for name, value in STATE.items()}
LIGHTNING = {
    "state_dict": _pre("model."),
    "hyper_parameters": CFG,
    "epoch": 3,
    "global_step": 900,
    "pytorch-lightning_version": "2.4.0",
    "loops": {},
    "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_path": "/runs/a"}},
    "optimizer_states": [ADAM.state_dict()],
    "lr_schedulers": [],
}
ACTOR_CRITIC = {**_pre("actor."), "critic.0.weight": torch.ones(4, 4), "critic.0.bias": torch.ones(4)}


def _old(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _pickled(protocol: int) -> Callable[[Any, Path], None]:
    return lambda content, path: path.write_bytes(pickle.dumps(content, protocol)) and None


def _text(text: str) -> Callable[[Any, Path], None]:
    return lambda _, path: path.write_text(text) and None


def _raw(raw: bytes) -> Callable[[Any, Path], None]:
    return lambda _, path: path.write_bytes(raw) and None


def _safe(content: Any, path: Path) -> None:
    save_file({name: value.contiguous() for name, value in content.items()}, path, metadata={"format": "pt"})


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _zipped(content: Any, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("run/ckpt.pt", _saved(content))


def _gzip(content: Any, path: Path) -> None:
    path.write_bytes(gzip.compress(_saved(content)))


def _half(content: Any, path: Path) -> None:
    path.write_bytes(_saved(content)[:-2000])


def _npz(content: Any, path: Path) -> None:
    np.savez(path, **content)


def _script(_: Any, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"):
            archive.writestr(name, b"\x80\x02}.")


SAVED_AGAIN = r"torch\.save\(\{'model': model\.state_dict\(\)"

WAYS: dict[str, Way] = {
    "plain": Way(BASE),
    "with optimizer and schedule": Way(
        _with(optimizer=ADAM.state_dict(), lr_sched={"last_epoch": 5, "best": float("inf")})
    ),
    "with SGD's momentum": Way(_with(optimizer=SGD.state_dict())),
    "with torch's random state": Way(_with(rng=torch.get_rng_state())),
    "with Python's random state": Way(_with(rng=random.getstate())),
    "with NumPy's random state": Way(_with(rng=np.random.RandomState(0).get_state())),
    "with a NumPy generator": Way(_with(rng=np.random.default_rng(0))),
    "with a NumPy metric": Way(_with(best_return=np.float64(17.2))),
    "with NumPy curves": Way(_with(curve=np.arange(5.0), flags=np.array([True]))),
    "with an array of objects": Way(_with(info=np.array([{"a": 1}], dtype=object))),
    "with a set, a range, an enum": Way(_with(seen={1, 2}, steps=range(3), kind=Kind.AD)),
    "NumPy step": Way(_with(step=np.int64(1000))),
    "tensor step": Way(_with(step=torch.tensor(1000))),
    "float step": Way(_with(step=1e3)),
    "NumPy in the configuration": Way(_cfg(lr=np.float64(0.01), tf_n_head=np.int64(4), flash=np.bool_(1))),
    "Namespace configuration": Way(_with(config=argparse.Namespace(**CFG))),
    "SimpleNamespace configuration": Way(_with(config=types.SimpleNamespace(**CFG))),
    "args instead of config": Way({"model": STATE, "args": argparse.Namespace(**CFG), "iteration": 1000}),
    "dataclass configuration": Way(_with(config=Settings()), add=STATED),
    "OrderedDict and defaultdict": Way(_with(config=OrderedDict(CFG), model=OrderedDict(STATE), m=defaultdict(list))),
    "list of pairs configuration": Way(_with(config=list(CFG.items()))),
    "path in the configuration": Way(_cfg(log_dir=pathlib.PurePosixPath("/runs/a"))),
    "device in the configuration": Way(_cfg(device=torch.device("cuda:1"))),
    "dtype in the configuration": Way(_cfg(dtype=torch.bfloat16)),
    "class in the configuration": Way(_cfg(opt=torch.optim.AdamW)),
    "function in the configuration": Way(_cfg(init=nn.init.xavier_uniform_)),
    "enum in the configuration": Way(_cfg(kind=Kind.AD)),
    "tuples, lists, None": Way(_cfg(betas=(0.9, 0.99), resume=None, tags=["a"], nested={"a": 1})),
    "bare state dict": Way(STATE, add=STATED),
    "key state_dict": Way({"state_dict": STATE, "config": CFG, "step": 1}),
    "key model_state_dict": Way({"model_state_dict": STATE, "config": CFG, "epoch": 1}),
    "key net": Way({"net": STATE, "config": CFG}),
    "nested under agent": Way({"agent": {"policy": STATE}, "config": CFG}),
    "Lightning": Way(LIGHTNING, name="epoch=3.ckpt"),
    "DataParallel": Way(_with(model=_pre("module."))),
    "torch.compile": Way(_with(model=_pre("_orig_mod."))),
    "DataParallel and compile": Way(_with(model=_pre("module._orig_mod."))),
    "a layer compiled by itself": Way(_with(model=COMPILED_INSIDE)),
    "prefix model": Way(_with(model=_pre("model."))),
    "prefix policy.net": Way(_with(model=_pre("policy.net."))),
    "FSDP": Way(_with(model=_pre("_fsdp_wrapped_module."))),
    "activation checkpointing": Way(_with(model=INNER)),
    "actor and critic": Way(_with(model=ACTOR_CRITIC)),
    "actor and target actor": Way(
        _with(model={**_pre("actor."), **_pre("target_actor.", EMA)}),
        choose={"prefix": "actor."},
        refused=r"2 state dicts fit .*--prefix actor\. .*--prefix target_actor\. ",
    ),
    "averaged model": Way(_with(model=AVERAGED)),
    "model and EMA": Way(
        _with(ema=EMA), choose={"key": "model"}, refused=r"2 state dicts fit .*--key model .*--key ema "
    ),
    "model twice, the same": Way(_with(best=STATE)),
    "bf16 weights": Way(_with(model=BF16), state=BF16),
    "fp16 weights": Way(_with(model=FP16), state=FP16),
    "float64 weights": Way(_with(model={name: value.double() for name, value in STATE.items()})),
    "parameters": Way(_with(model={name: nn.Parameter(value) for name, value in STATE.items()})),
    "view of a larger storage": Way(_with(model=VIEWS)),
    "transposed weights": Way(_with(model=TURNED)),
    "tied weights": Way(_with(model=TIED), state=TIED),
    "NumPy weights": Way(_with(model=NUMPY)),
    "causal mask buffer": Way(
        _with(model={**STATE, "causal_mask": MASK}),
        choose={"ignore": ("causal_mask",)},
        refused=r"causal_mask: a weight is not finite; .*--ignore 'causal_mask'",
    ),
    "Boolean mask buffer": Way(
        _with(model={**STATE, "attn_mask": torch.ones(24, 24, dtype=torch.bool).triu(1)}),
        choose={"ignore": ("attn_mask",)},
        refused=r"does not have: attn_mask; .*--ignore 'attn_mask'",
    ),
    "value head": Way(
        _with(model={**STATE, "value_head.weight": torch.zeros(1, 32), "value_head.bias": torch.zeros(1)}),
        choose={"ignore": ("value_head.*",)},
        refused=r"does not have: value_head\.bias, value_head\.weight; .*--ignore 'value_head\.\*'",
    ),
    "a NaN weight": Way(
        _with(model={**STATE, "pred_action.bias": torch.full((5,), float("nan"))}),
        refused=r"pred_action\.bias: a weight is not finite; .*take an earlier checkpoint",
    ),
    "torch's older format": Way(BASE, write=_old),
    "plain pickle": Way(BASE, write=_pickled(4), name="policy.pkl"),
    "plain pickle, oldest protocol": Way(BASE, write=_pickled(0), name="policy.pkl"),
    "plain pickle of arrays": Way(_with(model=NUMPY), write=_pickled(5), name="policy.pkl"),
    "whole module": Way(Part(), refused=r"a whole .*Part object .*model = torch\.load\(FILE, weights_only=False\)"),
    "whole module in a dict": Way(_with(model=Part()), refused=r"a whole .*Part object .*torch\.save\(\{'model'"),
    "sparse weights": Way(
        _with(model={**STATE, "q": torch.eye(3).to_sparse()}),
        refused=r"q: a .*stands among the weights.*" + SAVED_AGAIN,
    ),
    "safetensors": Way(STATE, write=_safe, name="model.safetensors", add=STATED),
    "safetensors with a prefix": Way(_pre("model."), write=_safe, name="policy.safetensors", add=STATED),
    "gzip": Way(BASE, write=_gzip, refused="a gzip file; run: gunzip"),
    "zip of a folder": Way(BASE, write=_zipped, refused="a zip archive that torch did not write; unpack it"),
    "half-written": Way(BASE, write=_half, refused="cut off.*; copy it again"),
    "empty": Way(write=_raw(b""), refused="an empty file; copy it again"),
    "git-lfs pointer": Way(
        write=_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7579\n"),
        refused="; run: git lfs pull",
    ),
    "login page": Way(
        write=_text("<!doctype html><html><body>Sign in</body></html>"), refused="a web page.*download it again"
    ),
    "HDF5": Way(write=_raw(b"\x89HDF\r\n\x1a\n" + bytes(600)), refused="an HDF5 file .*h5py"),
    "NumPy archive": Way(NUMPY, write=_npz, name="m.npz", refused=r"a NumPy archive.*torch\.save"),
    "TorchScript": Way(write=_script, refused=r"TorchScript.*torch\.jit\.load"),
    "torch's tar of 2016": Way(
        write=_raw(b"storages\0" + bytes(600)), refused="torch's format from before 2017; run: tar"
    ),
    "text": Way(write=_text("hello"), refused="first bytes; look at it with: file FILE"),
    "Unicode file name": Way(BASE, name="ckpt ünïcødé 策略.pt"),
}
"""By its name in the table."""
