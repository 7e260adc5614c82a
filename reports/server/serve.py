"""The viewer's server: on this machine alone unless asked otherwise, until Ctrl-C.

Example:
    serve([Path("runs")], host="127.0.0.1", port=0, videos=[], cache=None, opened=print)
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from reports.server.app import make_app
from viubench.errors import ViubenchError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ENDING = 3
"""Seconds that requests under way have to end in."""


def serve(
    folders: Sequence[Path],
    *,
    host: str,
    port: int,
    videos: Sequence[Path],
    cache: Path | None,
    opened: Callable[[str], None],
) -> None:
    """Serve what is in these folders; `opened` gets the address. Returns when Ctrl-C came.

    Raises:
        ViubenchError: nothing is there to be shown, or the port cannot be had.
    """
    token = secrets.token_urlsafe(24)
    listening = _listen(host, port)
    with listening:
        anywhere = not is_loopback(host)
        own = [socket.gethostname(), socket.getfqdn()] if anywhere else []
        names = {name.lower() for name in (*LOOPBACK, host, *own)}
        app = make_app(folders, token=token, hosts=names, anywhere=anywhere, videos=videos, cache=cache)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=ENDING,
            )
        )
        if not os.environ.get("VIUBENCH_DEBUG"):
            logging.getLogger("uvicorn").addHandler(logging.NullHandler())
            logging.getLogger("uvicorn").propagate = False
        opened(f"http://{_shown(host)}:{listening.getsockname()[1]}/?token={token}")
        try:
            server.run([listening])
        except KeyboardInterrupt:  # which uvicorn passes on when it has ended
            return


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ViubenchError(
            f"cannot listen at {host}, port {port}: {error.strerror}",
            where="--port",
            hint="another viewer may have the port: name another one, or none",
        ) from None
    return listening


def _shown(host: str) -> str:
    """The host of the address that is printed: a machine's name for all of its addresses."""
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
