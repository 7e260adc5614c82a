"""vLLM's engine cores as forks of the test process, which has imported all they need: a start costs 2 s, not 20.

A user's core is spawned and imports everything again, as in `test_python_docs`. All else about a
core is the same: a process of its own, its log, its death.

Example:
    with forked_cores.used():
        ask(VllmEngine("tiny-qwen3-vl", {}), requests)
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkContext, ForkProcess
from unittest.mock import patch

import forked

from viubench.engines.vllm import VllmEngine, process

NEEDED = (
    "vllm.v1.engine.async_llm",
    "vllm.v1.worker.cpu_worker",
    "vllm.model_executor.layers.quantization.online.base",
)

open_engine = VllmEngine._open


class Core(ForkProcess):
    """A fork that prints where its log is."""

    def run(self) -> None:
        forked.print_there()
        super().run()


class Context(ForkContext):
    """In place of the context whose processes are spawned."""

    Process = Core


@contextmanager
def used() -> Iterator[None]:
    """While it is entered, an engine of this process forks its core where vLLM runs on a CPU."""
    with patch.object(VllmEngine, "_open", _open):
        yield


def _open(engine: VllmEngine) -> None:
    load()
    with forking():
        open_engine(engine)


@contextmanager
def forking() -> Iterator[None]:
    """While it is entered, whatever vLLM starts as a process is forked."""
    from vllm.v1.engine import utils

    with patch.object(utils, "get_mp_context", Context):
        yield


def load() -> None:
    """Import what a core needs, and keep what is there out of its garbage collections: they would take seconds."""
    process.set_environment()
    for name in NEEDED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
