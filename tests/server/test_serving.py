"""Where the service listens, and what is said where it cannot."""

from __future__ import annotations

import socket

import pytest

from attnscope_server.errors import AddressUnusableError
from attnscope_server.serving import serve_background


def test_a_taken_port_is_a_sentence(where):
    """It names the port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = where.model_copy(update={"port": other.getsockname()[1], "announce": False})
        with pytest.raises(AddressUnusableError, match=r"is taken.*--port"), serve_background(taken):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_a_sentence(where, host):
    """Neither a foreign address nor a name without one is a traceback."""
    elsewhere = where.model_copy(update={"host": host, "port": 0, "behind_proxy": True})
    with pytest.raises(AddressUnusableError, match="cannot listen"), serve_background(elsewhere):
        pass
