"""The vLLM engine with a core that takes no time: what is left is everything that feeds one.

Example:
    async with Front("tiny-qwen3-vl", {}) as engine:
        response = await engine.generate(request)  # "A", at once

Prompts, tokens, patches, caches, engine inputs and outputs are vLLM's own, and the requests are written to a socket as
they would be for a core; the process at its other end forgets them.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from viubench.engines.vllm import VllmEngine, patches

FORGET = """
import sys, zmq
socket = zmq.Context().socket(zmq.PULL)
socket.bind(sys.argv[1])
while True:
    socket.recv_multipart(copy=False)
"""
"""A program that receives and forgets."""


class Front(VllmEngine):
    """Answers "A". With `plain`, vLLM's own processor of videos is left as it is."""

    def __init__(self, model: str, args: Mapping[str, str], *, plain: bool = False) -> None:
        super().__init__(model, args)
        self.plain = plain

    def _open(self) -> None:
        from vllm.v1.engine.core_client import EngineCoreClient

        with mock.patch.object(EngineCoreClient, "make_async_mp_client", Core):
            super()._open()

    def _quicken(self) -> None:
        if self.plain:
            with mock.patch.object(patches, "quick", lambda theirs, _: theirs):
                super()._quicken()
        else:
            super()._quicken()

    async def _next_token(self, prompt: dict[str, Any]) -> NDArray[Any]:
        return np.random.default_rng().random(4)  # no model looks at the frames

    async def forget(self) -> None:
        """Empty vLLM's cache of processed videos."""
        await self._llm.reset_mm_cache()


class Core:
    """In the place of vLLM's client of its core."""

    engine_ranks_managed = (0,)

    def __init__(self, **_: Any) -> None:
        import zmq
        import zmq.asyncio
        from vllm.v1.serial_utils import MsgpackEncoder

        self.resources = SimpleNamespace(engine_dead=False)
        self.encoder = MsgpackEncoder()
        self.outputs: asyncio.Queue[Any] = asyncio.Queue()
        self.folder = tempfile.TemporaryDirectory(prefix="viubench-bench-")
        address = f"ipc://{self.folder.name}/core"
        self.other = subprocess.Popen([sys.executable, "-c", FORGET, address])
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.PUSH)
        self.socket.connect(address)

    async def add_request_async(self, request: Any) -> None:
        """Send it away, and answer it."""
        from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason

        await self.socket.send_multipart(self.encoder.encode(request), copy=False)
        output = EngineCoreOutput(request.request_id, [32], finish_reason=FinishReason.STOP)
        self.outputs.put_nowait(EngineCoreOutputs(outputs=[output]))

    async def get_supported_tasks_async(self) -> tuple[str, ...]:
        return ("generate",)

    async def get_output_async(self) -> Any:
        return await self.outputs.get()

    async def abort_requests_async(self, request_ids: list[str]) -> None:
        """Nothing is under way."""

    async def reset_mm_cache_async(self) -> None:
        """It has none."""

    def shutdown(self, timeout: float | None = None) -> None:
        """End the other process."""
        self.socket.close(linger=0)
        self.context.term()
        self.other.kill()
        self.other.wait()
        self.folder.cleanup()
