"""vLLM's own server for the sides of a contest that ask one: on loopback, with the settings that every side has.

Example:
    with serving(work, scratch) as server:
        ...                      # ask f"{server.url}/chat/completions" for the model NAME
        server.vision()          # [1024, 1024]: of what was asked since, and begins anew

It opens the clips itself (`video_url` with their path), takes as many frames of a clip, first to last, as the other
sides, and has the same pixels for them. Its process counts the vision tokens of its prompts, as the other sides do.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.bench import vision
from tests.bench.contestant import Work, engine_settings
from viubench.errors import ViubenchError

NAME = "contest"
"""What the model is called."""

OPEN_SECONDS = 900.0
CLOSE_SECONDS = 60.0


@dataclass
class Server:
    """`url`: up to "/v1"; `counts`: the file that its process writes the vision tokens of each prompt to."""

    url: str
    counts: Path
    known: int = 0

    def vision(self) -> list[int]:
        """Vision tokens of the prompts since this was asked last, the least first."""
        every = vision.Written.read(self.counts)
        since, self.known = every[self.known :], len(every)
        return sorted(since)


@contextlib.contextmanager
def serving(work: Work, scratch: Path) -> Iterator[Server]:
    """A server, up for the block; what it prints goes into the folder `scratch`.

    Raises:
        ViubenchError: it does not come up; with the end of what it printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server, log = Server(f"http://127.0.0.1:{port}/v1", scratch / "vision.txt"), scratch / "server.log"
    command = [sys.executable, "-m", "tests.bench.served", str(server.counts), work.model]
    command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port), *flags(options(work))]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            _wait(process, server.url.removesuffix("/v1"), log)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def options(work: Work) -> dict[str, Any]:
    """Of the server: engine settings, and frames and pixels of a clip, which the Qwen3-VL family sums over it."""
    frames = {"min_frames": work.frames, "max_frames": work.frames}
    return engine_settings() | {
        "limit_mm_per_prompt": {"video": 1},
        "media_io_kwargs": {"video": frames},
        "mm_processor_kwargs": {"size": {"shortest_edge": 4096, "longest_edge": work.frames * work.pixels}},
        "allowed_local_media_path": str(Path(work.warm_up).resolve().parent),
    }


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Settings as words of vLLM's command line."""
    words = []
    for name, value in settings.items():
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(json.dumps(value) if isinstance(value, dict) else str(value))
    return words


def messages(clip: str, question: str) -> list[dict[str, Any]]:
    """A question in the protocol of chat completions, the clip by its path and first, as for the other sides."""
    video = {"type": "video_url", "video_url": {"url": Path(clip).resolve().as_uri()}}
    return [{"role": "user", "content": [video, {"type": "text", "text": question}]}]


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-500:]
    raise ViubenchError(f"vLLM's server did not come up: {said}")


def main() -> None:
    """vLLM's server, its prompts watched: python -m tests.bench.served COUNTS MODEL ..."""
    from vllm.entrypoints.launchers.api_server.entry import main as serve  # `vllm` itself does not start on a CPU

    vision.watch(sys.argv[2], vision.Written(path=Path(sys.argv[1])))
    sys.argv = ["serve", "--model", *sys.argv[2:]]
    serve()


if __name__ == "__main__":
    main()
