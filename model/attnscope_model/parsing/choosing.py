"""The state dict of a policy within a file's content: found by its family's names, or refused where several fit.

The caller hands in the test for a family's names. Where two state dicts fit, neither is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from attnscope_model.parsing.names import MAX_DEPTH, Found, beginnings, beneath, under, unwrapped
from attnscope_model.parsing.remedies import RESAVE, refuse
from attnscope_model.parsing.values import Array, StandIn, StoredTensor, is_tensor, shown

WHOLE: Final = "."
"""The name of a file's top level for ``--key``."""

MAX_VISITED: Final = 20_000
"""Dictionaries that are looked into."""

MAX_NAMES: Final = 20_000
"""Names of a state dict, at most."""

MAX_LISTED: Final = 8
"""State dicts and names that a refusal or a note lists."""

_USUAL: Final[tuple[str, ...]] = ("model", "state_dict", "model_state_dict", WHOLE)
Recognise = Callable[[Collection[str]], bool]


@dataclass(frozen=True)
class Choice:
    """The user's statement about the place of the policy in a file."""

    key: str | None = None
    """Dotted key of the state dict; `WHOLE` for the top level."""
    prefix: str | None = None
    """The beginning of the names."""
    ignore: tuple[str, ...] = ()
    """Patterns of names to leave out, since no decision of the policy uses them."""


def chosen(content: object, choice: Choice, recognise: Recognise) -> Found:
    """Return the state dict that a user names, or the only one that is of a known family.

    Raises
    ------
    CheckpointUnreadableError
        There is none, several fit, or a name, a prefix or a pattern that the user states is not there.
    """
    candidates = list(_state_dicts(content))
    if choice.key is not None:
        candidates = [(key, state) for key, state in candidates if key == choice.key] or _refuse_key(choice, candidates)
    if not candidates:
        raise _nothing(content)
    fits = [found for key, state in candidates for found in _fits(key, state, choice.prefix, recognise)]
    if len(fits) > 1:
        listed = "; ".join(found.words for found in fits[:MAX_LISTED])
        raise refuse(f"{len(fits)} state dicts fit a known family", f"say which one with --key or --prefix: {listed}")
    found = fits[0] if fits else _usual(candidates, choice.prefix)
    return _without(found, choice.ignore)


def _state_dicts(content: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each dictionary that has a tensor under a text, with its dotted key; each once."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), content)]
    seen: set[int] = set()
    while waiting and len(seen) < MAX_VISITED:
        path, value = waiting.pop(0)
        if not isinstance(value, dict) or id(value) in seen:
            continue
        seen.add(id(value))
        state = {name: entry for name, entry in value.items() if isinstance(name, str)}
        if any(is_tensor(entry) or _odd_tensor(entry) for entry in state.values()):
            yield (".".join(map(shown, path)) or WHOLE), state
        if len(path) < MAX_DEPTH:
            waiting += [((*path, str(name)), inner) for name, inner in value.items() if isinstance(inner, dict)]


def _odd_tensor(value: object) -> bool:
    """Return whether a stand-in is that of a tensor of a kind that is not read: sparse, quantized, distributed."""
    return isinstance(value, StandIn) and value.name.startswith(("torch._utils._rebuild", "torch tensor"))


def _fits(key: str, state: Mapping[str, Any], prefix: str | None, recognise: Recognise) -> Iterator[Found]:
    """Yield the parts of a state dict that are of a known family."""
    if len(state) > MAX_NAMES:
        raise refuse(f"the state dict {key} has {len(state)} names, more than {MAX_NAMES}")
    if prefix is not None:
        found = under(key, state, prefix)
        if found is not None and recognise(found.values.keys()):
            yield found
        return
    plain = unwrapped(key, state)
    for beginning in ("", *beginnings(plain.values)):
        part = beneath(plain, beginning)
        if recognise(part.values.keys()):
            yield part


def _usual(candidates: list[tuple[str, Mapping[str, Any]]], prefix: str | None) -> Found:
    """Return a state dict of no known family: the usual one, or the largest; it is refused by its names later."""
    by_key = dict(candidates)
    key = next((key for key in _USUAL if key in by_key), None)
    key = key or max(candidates, key=lambda candidate: len(candidate[1]))[0]
    found = unwrapped(key, by_key[key]) if prefix is None else under(key, by_key[key], prefix)
    if found is None:
        raise refuse(f"no name of {key} begins with {shown(prefix)}", f"names are {_listed(by_key[key])}")
    return found


def _without(found: Found, ignore: tuple[str, ...]) -> Found:
    """Return a state dict of tensors alone, without what the user leaves out.

    Raises
    ------
    CheckpointUnreadableError
        A pattern fits no name, or an object that is no tensor stands among the weights.
    """
    for pattern in ignore:
        if not any(fnmatchcase(name, pattern) for name in found.values):
            raise refuse(f"--ignore {shown(pattern)} fits no name", f"names are {_listed(found.values)}")
    ignored = [name for name in found.values if any(fnmatchcase(name, pattern) for pattern in ignore)]
    kept = {name: value for name, value in found.values.items() if name not in set(ignored)}
    for name, value in kept.items():
        if isinstance(value, StandIn):
            raise refuse(
                f"{shown(name)}: a {value.name} stands among the weights, and is not run to find out what it gives",
                f"where no decision uses it, leave it out with --ignore '{shown(name)}'; {RESAVE}",
            )
    tensors: dict[str, StoredTensor | Array] = {name: value for name, value in kept.items() if is_tensor(value)}
    return Found(found.key, found.prefix, tensors, found.wrappers, found.left_out, tuple(_notes(found, ignored)))


def _notes(found: Found, ignored: list[str]) -> Iterator[str]:
    """Yield notes on the choice for the user."""
    if found.key not in _USUAL:
        yield f"its weights were read from {found.key}"
    if found.wrappers or found.prefix:
        prefixes = [*sorted(found.wrappers), *([found.prefix] if found.prefix else [])]
        yield f"stripped from the names of its weights: {', '.join(map(shown, prefixes))}"
    if found.left_out:
        yield f"left out, since it stands beside that: {_listed(found.left_out)}"
    if ignored:
        yield f"left out by --ignore: {_listed(ignored)}"


def _listed(names: Collection[str]) -> str:
    every = sorted(map(shown, names))
    more = f" and {len(every) - MAX_LISTED} more" if len(every) > MAX_LISTED else ""
    return ", ".join(every[:MAX_LISTED]) + more


def _refuse_key(choice: Choice, candidates: list[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    known = ", ".join(key for key, _ in candidates[:MAX_LISTED]) or "none"
    raise refuse(f"no state dict stands under {shown(choice.key)}", f"--key may be one of: {known}")


def _nothing(content: object) -> Exception:
    """Return the refusal of a file without a state dict; it names the object that stands in its place."""
    top = list(content.values()) if isinstance(content, dict) else []
    below = [entry for value in top if isinstance(value, dict) for entry in value.values()]
    inside = next((value for value in (*top, *below) if isinstance(value, StandIn)), None)
    if isinstance(content, StandIn) or inside is not None:
        kind = content.name if isinstance(content, StandIn) else getattr(inside, "name", "")
        return refuse(
            f"it holds a whole {kind} object instead of its weights, and its code is not run to find them",
            "where you trust it, run in the folder of its code: model = torch.load(FILE, weights_only=False); "
            "torch.save({'model': model.state_dict()}, 'plain.pt')",
        )
    return refuse("expected a state dict of tensors, alone or under a key like 'model'")
