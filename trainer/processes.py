"""The processes that train one model together, as torchrun or `accelerate launch` started them.

Example:
    processes = Processes.join(device="")     # before anything touches a GPU
    everything = processes.gather([1, 2])     # the lists of all processes, one after the other
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from viubench.errors import ViubenchError

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)  # how long a process waits for the others: the main one saves and evaluates alone


@dataclass(frozen=True)
class Processes:
    """This process, `rank` (from 0) of `size`, which trains on `device` (cpu or cuda)."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @classmethod
    def join(cls, device: str = "") -> Processes:
        """This process among those that were started together, or alone, on `device`: cpu, cuda, for a single process
        cuda:N, and by default a GPU where there is one; it says so where there are more. Raises ViubenchError for more
        processes than GPUs, and for another device."""
        import torch

        rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        here = int(os.environ.get("LOCAL_WORLD_SIZE", str(size)))
        if not re.fullmatch(r"(cpu|cuda(:\d+)?)?", device):
            raise ViubenchError(f"no such device: {device}", where="--device", hint="cpu, cuda, or cuda:0 and the like")
        kind, _, number = device.partition(":")
        there = torch.cuda.device_count() if kind != "cpu" and torch.cuda.is_available() else 0
        kind = kind or ("cuda" if there else "cpu")
        if kind == "cuda" and here > there:
            message = f"{here} processes for {there} GPUs" if there else "torch sees no GPU"
            hint = f"start {there} processes, or train" if there else "train"
            raise ViubenchError(message, where="--device", hint=f"{hint} with --device cpu")
        if size == 1 and there > 1:  # one that is alone sees one GPU
            os.environ["CUDA_VISIBLE_DEVICES"] = number or "0"
            if not number:
                print(f"training on one of {there} GPUs; all: torchrun --nproc-per-node {there} -m viubench train ...")
        if size > 1 and sys.platform == "linux":
            # Die when torchrun is killed: it starts us in sessions of our own, where we would train on unseen.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        return cls(rank, size, kind)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints, logs and saves."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's share of `items`: neighbours, in order, at most one more than another's."""
        first, last = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return list(items[first:last])

    def gather(self, items: Sequence[T]) -> list[T]:
        """The items of all processes, by rank; all must call it."""
        if self.size == 1:
            return list(items)
        from accelerate.utils import gather_object

        return list(gather_object(list(items)))


SINGLE = Processes()  # a run of one process on the CPU
