"""The compose file: only the service's port is published, networks are internal, secrets have no default.

The bucket of its cluster is run as the file says, on other ports: nothing but its door listens beyond loopback.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import obstore
import psutil
import pytest
import yaml
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError
from obstore.store import S3Store

from bucket_server import free_ports, program

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("service", "service-gpu", "service-cluster")
"""Services of which one runs at a time."""
IN_CLUSTER = {"service-cluster", "ray-head", "ray-worker", "ray-worker-gpu", "postgres", "bucket"}
READY_WITHIN = 120.0
"""Seconds until a started bucket must take an object."""


@pytest.fixture(scope="module")
def compose():
    """Return the file as compose reads it."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """Return a folder with the secrets of a cluster."""
    folder = tmp_path_factory.mktemp("cluster")
    shutil.copy(ROOT / "server" / "cluster" / "secrets.sh", folder)
    subprocess.run(["sh", "secrets.sh"], cwd=folder, check=True, capture_output=True)
    return folder / "secrets"


def test_only_the_service_has_a_port_and_on_loopback(compose):
    """Each of the three needs a key from its user, and keeps its data in volumes."""
    assert set(compose["services"]) == {*SERVICES, *IN_CLUSTER}
    for name, service in compose["services"].items():
        assert "network_mode" not in service
        assert not service.get("privileged")
        if name not in SERVICES:
            assert "ports" not in service, name
            continue
        assert [port.split("}")[-1] for port in service["ports"]] == [":8642"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert ":?" in service["environment"]["ATTNSCOPE_SERVER_API_KEY"]
        targets = {volume.split(":")[1] for volume in service["volumes"]}
        assert {"/data/captures", "/data/checkpoints"} <= targets
    assert compose["services"]["service-gpu"]["profiles"] == ["gpu"]
    assert compose["services"]["service-gpu"]["runtime"] == "nvidia"


def test_containers_can_do_little(compose):
    """No root, no capabilities, nothing but volumes to write; the database's image drops root by itself."""
    for name, service in compose["services"].items():
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "postgres":
            assert service["user"] == "10001", name
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name


def test_the_cluster_is_apart(compose):
    """Its networks lead nowhere; only the service reaches the database, and only the service is on another one."""
    networks, services = compose["networks"], compose["services"]
    assert networks["cluster"]["internal"]
    assert networks["database"]["internal"]
    on = {name: set(services[name]["networks"]) for name in IN_CLUSTER}
    assert on.pop("service-cluster") == {"outside", "cluster", "database"}
    assert on.pop("postgres") == {"database"}
    assert set(map(frozenset, on.values())) == {frozenset({"cluster"})}
    assert all("cluster" in services[name]["profiles"][0] for name in IN_CLUSTER)
    assert set(services["service-cluster"]["depends_on"]) == {"postgres", "bucket", "ray-head", "ray-worker"}


def test_images_are_pinned(compose):
    """An image is built here, by pinned packages, or names its version."""
    tags = {
        service["image"] for service in compose["services"].values() if not service["image"].startswith("attnscope:")
    }
    assert all(re.fullmatch(r"postgres:\d+\.\d+-\w+", tag) for tag in tags)
    built = {service["image"] for service in compose["services"].values() if "build" in service}
    assert {service["image"] for service in compose["services"].values()} - tags == built
    pinned = (ROOT / "constraints.txt").read_text()
    assert "\nseaweedfs-bin==" in pinned
    assert "\nray==" in pinned


def test_secrets_are_files_without_default(compose, secrets):
    """Whoever starts the cluster without making them is told which file is missing; no value stands in the file."""
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"server/cluster/secrets/{name}"}
        assert (secrets / name).stat().st_size >= 64
    used = {name for service in compose["services"].values() for name in service.get("secrets", ())}
    assert used == set(compose["secrets"])
    for name in IN_CLUSTER:
        for variable, value in compose["services"][name].get("environment", {}).items():
            secret = re.search("PASSWORD|TOKEN|KEY", variable) is not None
            assert not secret or value.startswith(("/run/secrets/", "${ATTNSCOPE_API_KEY:?")), variable
    assert compose["services"]["ray-worker"]["secrets"] == ["ray-token", "worker"]


def test_secrets_go_into_no_image():
    """The folder of secrets lies in one that images are built from; the last word of the context leaves it out."""
    words = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    for folder in ("server/cluster/secrets", "server/cluster/making-*"):
        assert words.index(folder) > words.index("!server")
        assert f"/{folder}/" in (ROOT / ".gitignore").read_text().splitlines()


def test_every_node_of_the_cluster_wants_the_token(compose):
    """The head, its workers and the service alike."""
    for name in IN_CLUSTER - {"postgres", "bucket"}:
        environment = compose["services"][name]["environment"]
        assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN_PATH"]) == ("token", "/run/secrets/ray-token")


def test_secrets_are_made_once(secrets):
    """Each by chance, in a folder of its owner's alone; those that are there stay."""
    assert secrets.stat().st_mode & 0o777 == 0o700
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    again = subprocess.run(["sh", "secrets.sh"], cwd=secrets.parent, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert before["ray-token"] != before["postgres-password"]
    assert re.fullmatch("[0-9a-f]{64}", before["ray-token"].decode())


@pytest.fixture(scope="module")
def bucket(compose, secrets, tmp_path_factory):
    """Run the bucket as the file says, but for its ports and folders; return its process and its door."""
    folder = tmp_path_factory.mktemp("bucket")
    door, behind, *ports = free_ports(9)
    command = shlex.split(compose["services"]["bucket"]["command"])
    places = {
        "python": sys.executable,
        "weed": program("weed"),
        "/door.py": str(ROOT / "server" / "cluster" / "door.py"),
    }
    places |= {"8333": str(door), "8334": str(behind)}
    command = [places.get(word, word) for word in command]
    command = [word.replace("8334", str(behind)).replace("/run/secrets", str(secrets)) for word in command]
    command = [
        word.replace("-dir=/bucket", f"-dir={folder}").replace("volume.max=0", "volume.max=8") for word in command
    ]
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    names += ("s3.port.grpc",)  # else 10,000 above the other one, which may be no port at all
    command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    command += ["-master.volumeSizeLimitMB=64"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd="/proc")
    try:
        yield process, door
    finally:
        if process.poll() is None:
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                one.kill()
        process.wait()


def identity(secrets: Path, name: str, door: int) -> S3Store:
    """Return the bucket as somebody with these secrets reaches it."""
    given = dict(line.split("=", 1) for line in (secrets / name).read_text().splitlines())
    assert given["AWS_ENDPOINT_URL"] == "http://bucket:8333"
    return S3Store(
        "attnscope",
        endpoint=f"http://127.0.0.1:{door}",
        client_options={"allow_http": True},
        region=given["AWS_REGION"],
        access_key_id=given["AWS_ACCESS_KEY_ID"],
        secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        retry_config={"max_retries": 0},
    )


@pytest.fixture(scope="module")
def owner(bucket, secrets):
    """Return the bucket as the service reaches it, once it takes objects."""
    process, door = bucket
    store, until = identity(secrets, "service", door), time.monotonic() + READY_WITHIN
    while True:
        try:
            obstore.put(store, "elsewhere", b"1")
        except BaseError:
            assert process.poll() is None
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return store


@pytest.mark.usefixtures("owner")
def test_nothing_of_the_bucket_but_its_door_is_reached(bucket):
    """Master, volumes, filer and what its parts tell each other listen on loopback."""
    process, door = bucket
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    listening = {
        (one.laddr.ip, one.laddr.port)
        for member in family
        for one in member.net_connections()
        if one.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 6
    assert {port for ip, port in listening if ip != "127.0.0.1"} == {door}


@pytest.mark.usefixtures("owner")
def test_a_worker_of_the_cluster_reaches_captures_alone(bucket, secrets):
    """It creates and replaces them under conditions; anything else in the bucket is refused to it."""
    worker = identity(secrets, "worker", bucket[1])
    place = "service/captures/job/zarr.json"
    obstore.put(worker, place, b"{}", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(worker, place, b"{}", mode="create")
    assert [one["path"] for page in obstore.list(worker, "service/captures/job") for one in page] == [place]
    for refused in ("elsewhere", "service/capturesX", "service/other/x"):
        with pytest.raises(PermissionDeniedError):
            obstore.put(worker, refused, b"1")
    with pytest.raises(PermissionDeniedError):
        obstore.get(worker, "elsewhere")
    with pytest.raises(BaseError, match=r"403|AccessDenied"):
        list(obstore.list(worker))
