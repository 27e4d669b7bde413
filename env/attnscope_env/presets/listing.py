"""The environments that a service offers: a request names one of these, never a module or a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_env.presets.gymnasium_preset import gymnasium_preset
from attnscope_env.presets.named import PRESETS
from attnscope_env.presets.options import (
    CUSTOM,
    BanditOptions,
    DarkroomOptions,
    KeyToDoorOptions,
    Options,
    PermutedOptions,
    RepeatPreviousOptions,
)
from attnscope_env.presets.repeat_previous import REPEAT_PREVIOUS_ID
from attnscope_env.presets.tasks import EnvPreset
from attnscope_env.rooms.registration import BANDIT_ID, DARKROOM_ID, KEY_TO_DOOR_ID, PERMUTED_ID

GROUP: Final = "attnscope.environments"
"""Entry points of installed packages: each names an `EnvironmentListing` or a `GymnasiumEntry`."""


class EnvironmentPackageError(ImportError):
    """An installed package's environment does not load, is none, or has a name that is taken."""


@dataclass(frozen=True)
class EnvironmentListing:
    """An environment that requests may name."""

    id: str
    description: str
    kwargs_schema: Mapping[str, Any]
    """JSON schema of the keyword arguments."""
    build: Callable[[Mapping[str, Any]], EnvPreset]
    """Checks keyword arguments and gives their preset."""
    presets: tuple[EnvPreset, ...]

    def preset(self, kwargs: Mapping[str, Any]) -> EnvPreset:
        """Return the preset that these keyword arguments ask for; a listed one where they mean the same.

        Raises
        ------
        ValueError
            An unknown argument, or a value outside its range.
        """
        built = self.build(kwargs)
        for listed in self.presets:
            if dict(listed.kwargs) == dict(built.kwargs):
                return listed
        return built

    def info(self) -> dict[str, Any]:
        """Return what the wire's ``EnvironmentInfo`` holds, as plain values."""
        return {
            "id": self.id,
            "description": self.description,
            "kwargs_schema": dict(self.kwargs_schema),
            "presets": tuple(preset.info() for preset in self.presets),
        }


class Listings:
    """The environments of one service: attnscope's own, those that its operator lists, and those of installed packages.

    Packages are loaded at the first question, as they import this one.

    Raises
    ------
    ValueError
        An entry has the id or the preset name of another.
    EnvironmentPackageError
        At the first question: the environment of an installed package cannot be listed.
    """

    def __init__(self, further: Iterable[GymnasiumEntry] = ()) -> None:
        self._by_id: dict[str, EnvironmentListing] = {}
        self._presets: dict[str, EnvPreset] = {}
        for listed in (*map(_own, OWN), *map(_further, further)):
            _add(listed, self._by_id, self._presets)
        self._complete = False

    def __iter__(self) -> Iterator[EnvironmentListing]:
        self._add_installed()
        return iter(self._by_id.values())

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the listed environments."""
        self._add_installed()
        return tuple(self._by_id)

    def listing(self, environment_id: str) -> EnvironmentListing:
        """Return the listing of this id; LookupError where it is not listed."""
        self._add_installed()
        try:
            return self._by_id[environment_id]
        except KeyError:
            raise LookupError(f"expected a listed environment of {sorted(self.ids)}, got {environment_id!r}") from None

    def preset(self, name: str) -> EnvPreset:
        """Return the preset of this name; LookupError where none is listed."""
        if name not in self._presets:
            self._add_installed()
        try:
            return self._presets[name]
        except KeyError:
            raise LookupError(f"expected a preset of {sorted(self._presets)}, got {name!r}") from None

    def _add_installed(self) -> None:
        """Add the environments of installed packages, once."""
        if self._complete:
            return
        by_id, presets = dict(self._by_id), dict(self._presets)
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            what = f"the installed environment {point.name} ({point.value})"
            try:
                _add(_loaded(point, what), by_id, presets)
            except ValueError as error:
                raise EnvironmentPackageError(f"{what}: {error}") from error
        self._by_id, self._presets = by_id, presets  # all or none, so that the next question has the same answer
        self._complete = True


def _loaded(point: EntryPoint, what: str) -> EnvironmentListing:
    """Return the environment that an entry point names."""
    try:
        found = point.load()
    except Exception as error:  # a foreign package may raise anything
        raise EnvironmentPackageError(f"{what} does not load: {error}") from error
    listed = _further(found) if isinstance(found, GymnasiumEntry) else found
    if not isinstance(listed, EnvironmentListing):
        raise EnvironmentPackageError(f"{what} is neither an EnvironmentListing nor a GymnasiumEntry")
    return listed


def _add(listed: EnvironmentListing, by_id: dict[str, EnvironmentListing], presets: dict[str, EnvPreset]) -> None:
    """Add an environment and its presets; ValueError where its id or the name of one is taken."""
    if listed.id in by_id:
        raise ValueError(f"the environment {listed.id!r} is listed twice")
    by_id[listed.id] = listed
    for preset in listed.presets:
        if preset.name in presets:
            raise ValueError(f"the preset {preset.name!r} is listed twice")
        presets[preset.name] = preset


OWN: Final[tuple[tuple[str, str, type[Options]], ...]] = (
    (DARKROOM_ID, "A dark room with a hidden goal: 1 for every step that ends on it.", DarkroomOptions),
    (
        PERMUTED_ID,
        "A dark room from corner to corner whose actions are permuted: 1 for every step that ends on the goal.",
        PermutedOptions,
    ),
    (
        KEY_TO_DOOR_ID,
        "A dark room with a hidden key and door: 1 for finding the key, 1 for reaching the door after it.",
        KeyToDoorOptions,
    ),
    (BANDIT_ID, "Arms with hidden means, Bernoulli or Gaussian rewards.", BanditOptions),
    (
        REPEAT_PREVIOUS_ID,
        "POPGym's RepeatPrevious with renamed answers, an extra: 1 for the answer to a card k - 1 steps back, else -1.",
        RepeatPreviousOptions,
    ),
)
"""Id, description and keyword arguments of attnscope's own environments."""


def _own(entry: tuple[str, str, type[Options]]) -> EnvironmentListing:
    environment_id, description, options = entry
    return EnvironmentListing(
        id=environment_id,
        description=description,
        kwargs_schema=options.model_json_schema(),
        build=lambda kwargs: options.model_validate(dict(kwargs)).preset(),
        presets=tuple(preset for preset in PRESETS.values() if preset.environment_id == environment_id),
    )


def _further(entry: GymnasiumEntry) -> EnvironmentListing:
    return EnvironmentListing(
        id=entry.id,
        description=entry.description,
        kwargs_schema=entry.kwargs_schema,
        build=lambda kwargs: gymnasium_preset(entry, CUSTOM, entry.checked(kwargs)),
        presets=(gymnasium_preset(entry, entry.preset_name, entry.checked({})),),
    )


LISTED: Final = Listings()
"""Attnscope's own environments."""


def listing(environment_id: str) -> EnvironmentListing:
    """Return the listing of one of attnscope's own environments; LookupError where there is none of this id.

    Parameters
    ----------
    environment_id
        Gymnasium id, such as ``attnscope/Darkroom-v0``.
    """
    return LISTED.listing(environment_id)


def preset(name: str) -> EnvPreset:
    """Return the preset of this name, attnscope's own or an installed package's.

    Parameters
    ----------
    name
        Name of the preset, such as ``darkroom-reference``.

    Raises
    ------
    LookupError
        There is no preset of this name.
    EnvironmentPackageError
        It is none of attnscope's own, and the environment of an installed package cannot be listed.
    """
    return LISTED.preset(name)
