"""The Ray cluster that is used: the one that is named, the one that is there, else one of our own.

Example:
    with cluster("10.0.0.1:6379"):
        ...
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Iterator
from typing import Any

from tenacity import Retrying, stop_after_attempt

from viubench.errors import ViubenchError
from viubench.storage import environment

CONNECT_S = 10.0
"""Seconds that the head of a named cluster has to answer in."""

TRIES = 3
"""Starts of a cluster of our own."""

STORE_BYTES = 128 << 20
"""Object store of a cluster of our own: what is sent is small."""


def import_ray() -> Any:
    """The package ray; ViubenchError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ViubenchError(f"Ray cannot be loaded: {error}", hint="pip install 'viubench[ray]'") from error
    return ray


@contextlib.contextmanager
def cluster(address: str | None, cores: float = 1) -> Iterator[None]:
    """Be connected to a cluster; a connection that is there already is used and left as it is.

    Args:
        address: HOST:PORT; "local" to start one that only the loopback interface reaches; None for RAY_ADDRESS;
            "auto" or no RAY_ADDRESS for the one that runs on this machine, else a new one there.
        cores: what a cluster started here counts at least, however many the machine has.

    Raises:
        ViubenchError: no cluster answers at `address`, or none starts here.
    """
    named = address or os.environ.get("RAY_ADDRESS")
    if named == "local":  # read by Ray when it is imported, where it is off by default
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": environment.on(environment.DEBUG), "logging_level": "ERROR"}
    if named == "local" or not _connect(named, quiet):
        _start(max(os.cpu_count() or 1, math.ceil(cores)), quiet)
    try:
        yield
    finally:
        ray.shutdown()


def _start(cores: int, quiet: dict[str, Any]) -> None:
    """Start a cluster on this machine. Ray gives its own processes 30 s, too few on a busy one: it gets three tries."""
    ray = import_ray()
    try:
        for attempt in Retrying(stop=stop_after_attempt(TRIES), before_sleep=lambda _: ray.shutdown(), reraise=True):
            with attempt:
                ray.init(
                    address="local", include_dashboard=False, num_cpus=cores, object_store_memory=STORE_BYTES, **quiet
                )
    except Exception as error:  # Ray raises a plain one
        ray.shutdown()
        raise ViubenchError(
            f"Ray does not start on this machine: {last_line(error)}", hint="name a cluster that runs: HOST:PORT"
        ) from error


def _connect(address: str | None, quiet: dict[str, Any]) -> bool:
    """Whether a cluster answers; raises ViubenchError when one was named that does not."""
    try:
        if address not in (None, "auto"):  # Ray itself would try for minutes where nobody listens
            host, colon, port = str(address).rpartition(":")
            if not (colon and port.isdigit()) or "/" in host:
                raise ValueError("it is not of the form HOST:PORT, auto or local")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        import_ray().init(address=address or "auto", **quiet)
    except (OSError, ValueError, RuntimeError) as error:  # a ConnectionError is an OSError
        if address in (None, "auto"):
            return False
        raise ViubenchError(
            f"no Ray cluster answers at {address}: {last_line(error)}",
            where="address",
            hint="start one with `ray start --head`, or give address=local for one on this machine",
        ) from error
    return True


def last_line(error: Exception) -> str:
    """What Ray's message ends with, which is where it gives the reason; its advice is left out."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].split(". ")[0][:200] if lines else type(error).__name__
