"""Everything that an operator may set, in one frozen object.

Values come from the constructor, then from the environment (``ATTNSCOPE_SERVER_…``). Nothing here reads a device:
``auto`` is resolved by the worker, because the service process never imports torch.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from platformdirs import user_config_path, user_data_path
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_env.presets.listing import Listings
from attnscope_server.limits import MIB, Bytes, Limits, Seconds
from attnscope_storage.errors import BucketUnusableError
from attnscope_storage.layout.bucket import BucketPath, StorePath
from attnscope_storage.layout.places import STORES, address_of

DEFAULT_PORT = 8642
"""TCP port of the service."""

DEVICE: Final = re.compile(r"auto|(?:cpu|cuda|mps|xpu|hpu)(?::[0-9]{1,3})?")
"""Names of devices that torch may know."""

HOST: Final = re.compile(r"\*|[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]+\]")
"""A host as requests name it, without scheme, path or port."""


def is_loopback(host: str) -> bool:
    """Return whether a name or address, without its port, means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """Settings of one service."""

    model_config = SettingsConfigDict(
        env_prefix="ATTNSCOPE_SERVER_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_root: Path = Field(
        default_factory=lambda: user_data_path("attnscope") / "service",
        description="Folder of captures, checkpoints, keys and the job database.",
    )
    bucket: str | None = Field(
        default=None,
        description="s3://BUCKET/PREFIX where captures lie; keys, jobs and checkpoints stay in the data root.",
    )
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL database of the jobs and keys; None: a file in the data root."
    )
    host: str = "127.0.0.1"
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535, description="0 takes a free one.")
    behind_proxy: bool = Field(default=False, description="A proxy in front ends TLS; allows hosts beyond loopback.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Hosts that requests may name besides this machine and `host`; * is any."
    )
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    api_key: SecretStr | None = Field(default=None, description="A fixed key with every scope, for containers.")
    announce: bool = Field(default=True, description="Write url and local key where the local client looks.")
    announce_folder: Path = Field(default_factory=lambda: user_config_path("attnscope"))
    devices: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("auto",), min_length=1, description="One worker each; auto is the first GPU, else the CPU."
    )
    runners: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("process",), min_length=1, description="What runs jobs, by name: processes here, or an installed one."
    )
    ray_address: str | None = Field(
        default=None,
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$",
        description="Host and port of the head of the Ray cluster that the runner `ray` uses.",
    )
    ray_join: bool = Field(
        default=False, description="Make this machine a node of the cluster that runs nothing, where it is none yet."
    )
    ray_cpus: int = Field(
        default=4, ge=1, description="Cores that a placement slot without a GPU takes on the cluster."
    )
    ray_cache_gib: float = Field(
        default=20.0, ge=0, description="GiB of the checkpoints that a machine of the cluster keeps."
    )
    lease_seconds: Seconds = Field(
        default=60.0, description="Lease of a job whose worker outlives the service; it writes for 0.6 of it."
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="Torch threads of a worker; None leaves torch's own."
    )
    fused_attention: bool = Field(
        default=True, description="Use compiled layers or attention for small heads on a CPU where numba is installed."
    )
    worker_nice: int = Field(
        default=5, ge=0, le=19, description="Niceness of a worker: the service answers while every core computes."
    )
    worker_command: tuple[str, ...] = Field(
        default=(sys.executable, "-m", "attnscope_server.running.worker"), min_length=1, description="Starts a worker."
    )
    worker_idle_seconds: Seconds = Field(default=300.0, description="A worker idle for so long ends and frees its GPU.")
    worker_start_seconds: Seconds = Field(default=120.0, description="A worker that is not ready by then is ended.")
    alive_seconds: Seconds = Field(default=5.0, description="From one sign of life of a worker to the next.")
    silent_seconds: Seconds = Field(default=120.0, description="A worker that gives no sign of life is ended after it.")
    stalled_seconds: Seconds = Field(default=60.0, description="A job that does not move is shown as stalled after it.")
    hung_seconds: Seconds = Field(
        default=1800.0, description="A job that does not move is ended, and queued, after it."
    )
    free_bytes: Bytes = Field(default=64 * MIB, description="Free disk below which the service is not ready.")
    replay_command: tuple[str, ...] = Field(
        default=(sys.executable, "-m", "attnscope_server.replaying.worker"), min_length=1, description="Starts replays."
    )
    replay_idle_seconds: Seconds = Field(default=120.0, description="A replay process idle for so long ends.")
    cancel_grace_seconds: Seconds = Field(default=1.0, description="From asking a cancelled job to stop to SIGTERM.")
    kill_grace_seconds: Seconds = Field(default=0.5, description="From SIGTERM to SIGKILL.")
    stop_grace_seconds: Seconds = Field(default=10.0, description="From asking a worker to stop to SIGTERM.")
    retention_days: float | None = Field(
        default=None, gt=0, le=36_500, description="Days that an ended job's capture is kept; None: for ever."
    )
    housekeeping_seconds: Seconds = Field(default=60.0, description="From one look for expired captures to the next.")
    durable: bool = Field(default=True, description="fsync chunks, roots and the job database.")
    environments: tuple[GymnasiumEntry, ...] = Field(
        default=(), description="Installed Gymnasium environments that jobs may name beside attnscope's own."
    )
    shipped_checkpoints: bool = Field(default=True, description="Register the checkpoints that attnscope ships.")
    hub: bool = Field(default=False, description="Let `checkpoint add hf://…` fetch from the Hugging Face Hub.")
    hub_bytes: Bytes = Field(default=1024 * MIB, description="Files of one such repository, all together.")
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _bucket_as_root(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was given
        """Take a data root that is a bucket as the place of the captures; the rest stays in the usual folder."""
        given = address_of(values.get("data_root")) if isinstance(values, dict) else None
        if given is not None:
            if values.get("bucket") not in {None, given}:
                raise ValueError("data_root and bucket name two places: give one of them")
            return {name: value for name, value in values.items() if name != "data_root"} | {"bucket": given}
        return values

    @field_validator("bucket")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                BucketPath(value)
            except BucketUnusableError as error:
                raise ValueError(error.message) from error
        return value

    @field_validator("devices", "allowed_hosts", "runners", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("devices")
    @classmethod
    def _of_torch(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if DEVICE.fullmatch(name) is None:
                raise ValueError(f"expected a device like auto, cpu, cuda or cuda:1, got {name[:40]!r}")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_alone(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if HOST.fullmatch(name) is None:
                raise ValueError(
                    f"expected a host without scheme, port or path, like box.example.org, got {name[:80]!r}"
                )
        return value

    @field_validator("api_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:  # noqa: PLR2004  a length, said below
            raise ValueError("a fixed API key has at least 16 characters")
        return value

    @field_validator("environments")
    @classmethod
    def _listed_once(cls, value: tuple[GymnasiumEntry, ...]) -> tuple[GymnasiumEntry, ...]:
        Listings(value)
        return value

    @model_validator(mode="after")
    def _both_tls_files(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS needs both a certificate and a key")
        return self

    @model_validator(mode="after")
    def _signs_in_time(self) -> Self:
        if self.silent_seconds <= self.alive_seconds:
            raise ValueError(
                f"silent_seconds: a worker that gives a sign of life every {self.alive_seconds:g} s would be ended "
                f"after {self.silent_seconds:g} s; ask for more silent_seconds, or fewer alive_seconds"
            )
        if self.lease_seconds < 4 * self.alive_seconds:
            raise ValueError(
                f"lease_seconds: a lease is renewed by a sign of life every {self.alive_seconds:g} s, so it must last "
                f"{4 * self.alive_seconds:g} s, got {self.lease_seconds:g}"
            )
        return self

    @property
    def captures_folder(self) -> Path:
        """Folder of the captures."""
        return self.data_root / STORES

    @property
    def stores(self) -> StorePath:
        """The place below which the captures lie: the bucket, or the data root."""
        return self.data_root if self.bucket is None else BucketPath(self.bucket)

    @property
    def stores_address(self) -> str:
        """The same place for another process, which may work in another folder."""
        return self.bucket or str(self.data_root.resolve())

    @property
    def checkpoints_folder(self) -> Path:
        """Folder of the registered checkpoints."""
        return self.data_root / "checkpoints"

    @property
    def database_path(self) -> Path:
        """The job database."""
        return self.data_root / "service.sqlite3"

    @property
    def on_loopback(self) -> bool:
        """True where only this machine can connect."""
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """Scheme of the service's own URL."""
        return "https" if self.tls_certificate is not None else "http"
