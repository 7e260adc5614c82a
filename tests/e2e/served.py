"""A real vLLM server on loopback, for as long as a block lasts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

LIMIT_S = 300


@contextmanager
def serving(model: Path, log: Path, *options: str) -> Iterator[str]:
    """The address of a server of `model`, served as "tiny"; what it prints goes to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--enforce-eager", "--skip-mm-profiling", "--kv-cache-memory-bytes", str(2**28)]
    command += ["--limit-mm-per-prompt", '{"video": 12, "image": 48}', *options]  # of two the last one counts
    quiet = os.environ | {"VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=quiet) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_up(server, url, log)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_until_up(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail(f"the server did not come up: {log.read_text(errors='replace')[-2000:]}")
