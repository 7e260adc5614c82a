"""A real `vllm serve` on loopback: with lossless frames its answers are those of the engines in process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from engine_requests import ask, standard, texts

from viubench.engines.base import Response
from viubench.engines.server import ServerEngine

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine

LIMIT_S = 300


@pytest.fixture(scope="module")
def address(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny_model)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--trust-request-mm-kwargs"]
    command += ["--dtype", "float32", "--enforce-eager", "--skip-mm-profiling", "--kv-cache-memory-bytes", str(2**28)]
    command += ["--limit-mm-per-prompt", '{"video": 12, "image": 48}']
    log = tmp_path_factory.mktemp("server") / "log"
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


def test_lossless_frames_give_the_answers_of_transformers(address: str, hf_answers: list[str]) -> None:
    engine = ServerEngine(None, [address], {"transport_format": "png"})
    assert texts(ask(engine, standard())) == hf_answers
    described = engine.describe()
    assert (described["model"], described["settings"]["transport"]) == ("tiny", "video/png")


def test_jpeg_frames_keep_the_prompt(address: str) -> None:
    lossless = ask(ServerEngine("tiny", [address], {"transport_format": "png"}), standard())
    lossy = ask(ServerEngine("tiny", [address], {}), standard())
    pairs = [
        (a, b) for a, b in zip(lossless, lossy, strict=True) if isinstance(a, Response) and isinstance(b, Response)
    ]
    assert len(pairs) == len(standard())
    assert [a.usage["prompt_tokens"] for a, _ in pairs] == [b.usage["prompt_tokens"] for _, b in pairs]


def test_images_are_answered_too(address: str) -> None:
    answers = ask(ServerEngine("tiny", [address], {"transport": "images"}), standard()[-2:])
    assert [answer.usage["shown_as_images"] for answer in answers if isinstance(answer, Response)] == [1, 1]
