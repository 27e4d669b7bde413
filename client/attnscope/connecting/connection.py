"""The address of the service and its key: arguments, environment, configuration file, local service.

A key belongs to the address it was found beside: a key of the configuration file is never sent to an address that
the caller names, unless both have the same origin. This module opens no connection.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import platformdirs
from pydantic import ValidationError

from attnscope.errors import ConfigurationError
from attnscope_storage.wire.announcing import Announcement

URL_VARIABLE: Final = "ATTNSCOPE_URL"
KEY_VARIABLE: Final = "ATTNSCOPE_API_KEY"
CONFIG_FILE: Final = "config.toml"
"""Written by the user: ``url = "…"`` and ``api_key = "…"``."""
LOCAL_FILE: Final = "local.json"
"""Written by a service on this machine: ``{"url": "…", "key": "…"}``."""


@dataclass(frozen=True)
class Connection:
    """An address, the key for it, and who named it."""

    url: str
    """Scheme, host and port, perhaps a path; no slash at the end."""
    api_key: str | None = field(repr=False)
    source: str
    """The source of the address, for error messages."""

    def __post_init__(self) -> None:
        """Refuse what is no address, and a key that would travel in the clear."""
        parts = _split(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"{self.url!r} ({self.source}) is no address; expected http://host:port or https://host"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigurationError(
                f"the address ({self.source}) must hold no user, password or query; "
                f"give the key as api_key or {KEY_VARIABLE}"
            )
        if self.api_key is not None and not re.fullmatch(r"[\x21-\x7e]+", self.api_key):
            raise ConfigurationError(f"the API key for {self.url} is empty or holds characters that no key has")
        if self.api_key and parts.scheme == "http" and not self.loopback:
            raise ConfigurationError(
                f"will not send an API key to {self.url} in the clear; use https, or a tunnel: "
                f"ssh -N -L 8642:127.0.0.1:{parts.port or 80} {parts.hostname}, then connect to http://127.0.0.1:8642"
            )

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return _origin(self.url)

    @property
    def loopback(self) -> bool:
        """True where the address stays on this machine."""
        return is_loopback(self.origin[1])


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_connection(
    url: str | None = None,
    api_key: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    config_folder: Path | None = None,
) -> Connection:
    """Return the connection that arguments, environment, configuration file and local service amount to.

    Parameters
    ----------
    url, api_key
        What the caller said; it comes first.
    environment
        Variables to read; the process's own where None.
    config_folder
        Folder of ``config.toml`` and ``local.json``; the user's own where None.

    Raises
    ------
    ConfigurationError
        Nothing names a service, a file cannot be read, or the key must not travel to that address.
    """
    variables = os.environ if environment is None else environment
    folder = config_folder or Path(platformdirs.user_config_dir("attnscope"))
    found = [
        _Found(variables.get(URL_VARIABLE) or None, variables.get(KEY_VARIABLE) or None, URL_VARIABLE),
        _read_config(folder / CONFIG_FILE),
        _read_local(folder / LOCAL_FILE),
    ]
    named = _Found(url, None, "the url argument") if url else next((one for one in found if one.url), None)
    if named is None or named.url is None:
        raise ConfigurationError(
            f'no service named: pass url=…, set {URL_VARIABLE}, write url = "…" into {folder / CONFIG_FILE}, '
            "or start one here with `attnscope-server serve`"
        )
    key = api_key or named.key or _key_beside(named.url, found)
    return Connection(url=named.url.rstrip("/"), api_key=key, source=named.source)


@dataclass(frozen=True)
class _Found:
    url: str | None
    key: str | None
    source: str


def _key_beside(url: str, found: list[_Found]) -> str | None:
    """Return the first key that was written for this origin; one without an address is for any."""
    for one in found:
        if one.key and (one.url is None or _origin(one.url) == _origin(url)):
            return one.key
    return None


def _origin(url: str) -> tuple[str, str, int]:
    parts = _split(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no address: {error}") from error
    return parts


def _read_config(path: Path) -> _Found:
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Found(None, None, str(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    unknown = set(entries) - {"url", "api_key"}
    if unknown:
        raise ConfigurationError(f"{path} holds {', '.join(sorted(unknown))}; it may hold url and api_key")
    return _Found(_text(entries, "url", path), _text(entries, "api_key", path), str(path))


def _read_local(path: Path) -> _Found:
    try:
        announced = Announcement.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Found(None, None, str(path))
    except ValidationError as error:
        raise ConfigurationError(
            f"{path} holds no url and key as JSON texts; delete it, or start the service again"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}; delete it, or start the service again") from error
    return _Found(announced.url or None, announced.key or None, str(path))


def _text(entries: Mapping[str, object], name: str, path: Path) -> str | None:
    value = entries.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{name} in {path} must be text")
    return value or None
