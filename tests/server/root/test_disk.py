"""Disks that cannot carry a data root are refused with what to do."""

from __future__ import annotations

import errno
import fcntl

import pytest

from attnscope_server.errors import DataRootUnusableError
from attnscope_server.root.data_root import held
from attnscope_server.root.disk import file_system, refuse_network

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / {folder} rw,relatime shared:9 - nfs4 server:/export rw,vers=4.2
41 40 0:41 / {folder}/local\\040disk rw - xfs /dev/sdb1 rw
a line of another kind
"""


@pytest.fixture
def mounts(tmp_path):
    """Return a list of mounts: a network disk, with a disk of this machine below it."""
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS.format(folder=tmp_path / "home"), encoding="utf-8")
    return path


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path, mounts):
    """A mount point may hold a space, and a folder whose name begins alike lies elsewhere."""
    assert file_system(tmp_path / "home" / "a" / "b", mounts) == "nfs4"
    assert file_system(tmp_path / "home" / "local disk" / "b", mounts) == "xfs"
    assert file_system(tmp_path / "home2", mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "nowhere") is None


def test_a_data_root_on_a_network_disk_is_refused_with_the_remedy(tmp_path, mounts):
    """The refusal names the disk and the option; a disk of this machine is taken."""
    with pytest.raises(DataRootUnusableError, match=r"network disk \(nfs4\).*--data-root"):
        refuse_network(tmp_path / "home" / "root", mounts)
    refuse_network(tmp_path / "home" / "local disk", mounts)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_is_refused_with_the_remedy(tmp_path, monkeypatch, number):
    """The service says so before it writes anything."""

    def refuse(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(DataRootUnusableError, match=r"knows no locks.*--data-root"), held(tmp_path):
        pass
