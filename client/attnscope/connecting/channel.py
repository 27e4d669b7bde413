"""The HTTP client under a transport: headers, limits and times, and what the environment may say about it."""

from __future__ import annotations

import os
from typing import Final

import httpx

from attnscope.connecting.connection import Connection
from attnscope.errors import ConfigurationError

CONNECT_SECONDS: Final = 10.0
"""Seconds for a connection to stand."""

READ_SECONDS: Final = 60.0
"""Seconds without a byte before a request is given up."""

ENVIRONMENT: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that connections to other machines follow."""


def new_client(connection: Connection) -> httpx.Client:
    """Return a client without open connections.

    Raises
    ------
    ConfigurationError
        Proxies or certificates that the environment names cannot be used.
    """
    headers = {"User-Agent": "attnscope", "Accept-Encoding": "identity"}
    if connection.api_key:
        headers["Authorization"] = f"Bearer {connection.api_key}"
    try:
        return httpx.Client(
            base_url=connection.url,
            headers=headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
            follow_redirects=False,
            # A proxy named in the environment must not see, nor break, what stays on this machine.
            trust_env=not connection.loopback,
        )
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(_unusable(connection.url, error)) from error


def _unusable(url: str, error: Exception) -> str:
    """Return why no client can be made, and which variables to look at."""
    named = [name for name in ENVIRONMENT if os.environ.get(name) or os.environ.get(name.lower())]
    look = f"; look at {', '.join(named)} in the environment" if named else ""
    if isinstance(error, ImportError):
        return f"the connection to {url} would go through a SOCKS proxy, which needs: pip install socksio{look}"
    return f"the connection to {url} cannot be set up: {error}{look}"
