"""The processes of torchrun that train one model: rank, share of the work, and what they exchange.

Example:
    with ProcessGroup.join() as processes:             # torchrun --nproc-per-node 8 -m viubench train ...
        mine = processes.shard(questions.batch(step))  # a run of neighbours in the batch
        rewards = processes.gather({"reward": 0.5})    # one value of each process, by rank

Values are exchanged as JSON, so that nothing one process sends can run code in another.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from viubench.errors import Exit, ViubenchError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)
"""How long a process waits for the others: the main one saves and evaluates alone."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal a process gets when its parent ends."""

BUCKET = 2**26
"""Gradient values that are summed in one message: 256 MB in float32."""


class SharedError(ViubenchError):
    """An error that all processes raise at the same place."""


@dataclass(frozen=True)
class ProcessGroup:
    """This process, `rank` (from 0) of `size`; device `requested` is as for `join`."""

    rank: int = 0
    size: int = 1
    requested: str = "cpu"
    _store: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def join(cls, device: str = "") -> Self:
        """This process among those that torchrun started, or alone.

        `device` is "cpu" or "cuda" ("cuda:N" for a single process); empty is a GPU where there is one.

        Raises:
            ViubenchError: more processes than GPUs, one GPU for several, or processes on several machines.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls(requested=device)
        device = cls(requested=device).device
        local, here = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
        if here != size:
            raise ViubenchError(
                f"{size} processes on several machines ({here} on this one)",
                where="torchrun",
                hint="this loop trains on one machine; for a cluster export the training: `viubench export verl`",
            )
        if device.startswith("cuda"):
            device = _gpu(device, local, here)
        # Die when torchrun is killed (Linux): it starts us in sessions of our own, where we would train on unseen.
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return cls(int(os.environ["RANK"]), size, device, _init_process_group(device))

    @property
    def device(self) -> str:
        """The device of this process."""
        if self.requested:
            return self.requested
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints, logs and saves."""
        return self.rank == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group; an error of one process ends all, and only the first to fail prints it."""
        if self.size == 1:
            return
        if error is None:
            import torch.distributed as dist

            self.gather(None)
            dist.destroy_process_group()
        elif isinstance(error, Exception) and not self._failed_first():
            # A later failure has the same reason, or is the loss of the first process.
            raise SystemExit(error.exit_code if isinstance(error, ViubenchError) else 1) from None

    def shard(self, items: Sequence[T]) -> list[T]:
        """This process's share of `items`: neighbours, in order, at most one more than another's."""
        first, last = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return list(items[first:last])

    def micro_batches(self, items: Sequence[T], size: int) -> list[list[T]]:
        """This process's share of `items`, `size` at a time."""
        share = self.shard(items)
        return [share[start : start + size] for start in range(0, len(share), size)]

    def gather(self, value: Any) -> list[Any]:
        """The values (JSON) of all processes, by rank; all must call it. ViubenchError where the others are gone."""
        if self.size == 1:
            return [value]
        import torch

        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = self._all(torch.tensor([len(data)]))
        longest = max(int(size) for size in sizes)
        rows = self._all(torch.nn.functional.pad(data, (0, longest - len(data))))
        return [json.loads(bytes(row[: int(size)].tolist())) for row, size in zip(rows, sizes, strict=True)]

    def broadcast(self, value: T) -> T:
        """The main process's value, for what only one may decide, such as whether a file exists."""
        main: T = self.gather(value)[0]
        return main

    @contextmanager
    def raise_together(self) -> Iterator[None]:
        """All raise a ViubenchError of one, as a `SharedError`. All must enter; inside, none may wait for another."""
        if self.size == 1:
            yield
            return
        failed: ViubenchError | None = None
        try:
            yield
        except ViubenchError as error:
            failed = error
        facts = failed and [failed.message, failed.where, failed.hint, int(failed.exit_code)]
        for message, where, hint, code in filter(None, self.gather(facts)):
            raise SharedError(message, where=where, hint=hint, exit_code=Exit(code)) from failed

    def can_save(self, error: ViubenchError) -> bool:
        """Whether all processes raised this error, and can still save together."""
        return self.size == 1 or isinstance(error, SharedError)

    def padded(self, items: Sequence[T]) -> Iterator[tuple[T, bool]]:
        """This process's items, padded to the number of the process with most: a repeated last one is marked False.

        With FSDP every process takes part in every backward pass. ViubenchError where a process has no item at all.
        """
        counts = [len(items)] if self.size == 1 else self.gather(len(items))
        if not min(counts):
            raise SharedError(
                f"{sum(counts)} questions a step are not enough for {self.size} processes",
                where="train_batch_size",
                hint="each process needs at least one: start fewer processes, or raise train_batch_size",
            )
        for number in range(max(counts)):
            yield items[min(number, len(items) - 1)], number < len(items)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """All-reduce the gradients (sum, in float32), once after all backward passes of a step.

        A parameter without gradient on every process keeps none; a sharded one was summed by its backward pass.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist
        from torch.distributed.tensor import DTensor

        replicated = [p for p in parameters if not isinstance(p, DTensor)]
        used = torch.tensor([p.grad is not None for p in replicated], dtype=torch.uint8)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        held = [p for p, anywhere in zip(replicated, used.tolist(), strict=True) if anywhere]
        for p in held:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        for bucket in _buckets(held):
            gradients = [p.grad for p in bucket]
            flat = torch.cat([gradient.flatten().float() for gradient in gradients])
            dist.all_reduce(flat)
            parts = flat.split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def _all(self, tensor: Tensor) -> list[Tensor]:
        """The tensor of every process, on the CPU and of one shape."""
        import torch
        import torch.distributed as dist

        tensors = [torch.empty_like(tensor) for _ in range(self.size)]
        try:
            dist.all_gather(tensors, tensor)
        except RuntimeError as error:
            raise ViubenchError(
                f"process {self.rank} of {self.size} lost the others: {str(error).splitlines()[0][:200]}",
                where="torchrun",
                hint="one of them was killed, perhaps out of memory; torchrun names it below",
            ) from error
        return tensors

    def _failed_first(self) -> bool:
        """Whether no other process failed before, by a count in torchrun's store, which outlives the processes."""
        try:
            return int(self._store.add("failed", 1)) == 1
        except RuntimeError:  # the store is gone: better printed twice than not at all
            return True


SINGLE_PROCESS = ProcessGroup()
"""A run of one process on the CPU."""


def _gpu(device: str, local: int, here: int) -> str:
    """The GPU of the process with local rank `local`."""
    import torch

    if device != "cuda":
        raise ViubenchError(f"{here} processes cannot share {device}", where="--device", hint="give --device cuda")
    if here > (there := torch.cuda.device_count()):
        raise ViubenchError(
            f"{here} processes for {there} GPUs",
            where="torchrun --nproc-per-node",
            hint=f"start {there} processes, or train with --device cpu",
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def _init_process_group(device: str) -> Any:
    """Connect the processes, with gloo for JSON and CPU tensors in any case; returns the store they share."""
    import torch.distributed as dist

    store, rank, size = next(dist.rendezvous("env://", timeout=TIMEOUT))
    store.set_timeout(TIMEOUT)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    return store


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The parameters in turn, as many at a time as `BUCKET` values hold, at least one."""
    bucket: list[Tensor] = []
    values = 0
    for parameter in parameters:
        if bucket and values + parameter.numel() > BUCKET:
            yield bucket
            bucket, values = [], 0
        bucket.append(parameter)
        values += parameter.numel()
    if bucket:
        yield bucket
