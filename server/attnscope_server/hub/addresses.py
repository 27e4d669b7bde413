"""Connections to public addresses alone: a name is resolved here, judged here, and connected to as it was judged.

A redirect, or a name server, could lead a program that fetches files to this machine or to its neighbours, whose
services trust whoever is near. Environment variables that name proxies are not read.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPSConnection
from typing import Final

from attnscope_server.errors import HubRefusedError

PORT: Final = 443
"""The one port that is connected to."""

SECONDS: Final = 30.0
"""Until a connection stands, and until the next bytes come."""

Connect = Callable[[str], HTTPConnection]
"""The connection to a host, which is not yet opened."""

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""The IPv6 addresses that anybody was ever given. Python calls others public: those of one site (fec0::/10), and those
that hold an IPv4 address which a network's own translation leads to."""


def public_connection(host: str) -> HTTPConnection:
    """Return a connection over TLS to one of a host's addresses, all of which are public.

    Raises
    ------
    HubRefusedError
        The name has no address, or one that is not public.
    """
    try:
        found = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HubRefusedError(f"{host[:200]} has no address: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if hidden := [address for address in addresses if not is_public(address)]:
        raise HubRefusedError(
            f"{host[:200]} leads to {hidden[0]}, which is no public address: nothing is fetched there"
        )
    return _Pinned(host, addresses[0])


def is_public(address: str) -> bool:
    """Return whether an address, and the IPv4 address that it may carry, is reachable from anywhere."""
    number = ipaddress.ip_address(address.partition("%")[0])
    if not number.is_global or number.is_multicast:
        return False
    if isinstance(number, ipaddress.IPv4Address):
        return True
    if number in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)))
    carried = [number.sixtofour, *(number.teredo or ())]
    return number in _UNICAST and all(inner is None or is_public(str(inner)) for inner in carried)


class _Pinned(HTTPSConnection):
    """A connection to one address, whose certificate is the host's; the name is not resolved a second time."""

    def __init__(self, host: str, address: str) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(host, PORT, timeout=SECONDS, context=self._tls)
        self._address = address

    def connect(self) -> None:
        """Open the connection to the address that was judged."""
        plain = socket.create_connection((self._address, PORT), SECONDS)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
