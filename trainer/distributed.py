"""The processes that train one model together: which one this is, its part of the work, what it learns of the others.

Example:
    with Ranks.join() as ranks:                       # torchrun --nproc-per-node 8 -m viubench train ...
        mine = ranks.own(questions.batch(step))       # neighbours in the batch stay together
        ranks.sum_gradients(parameters)               # after the backward passes of this process's part
        told = ranks.gather({"reward": 0.5})          # what every process said, in order, known to all

A process that torchrun did not start is alone, and nothing here costs it anything. Numbers go round as JSON, so nothing
that one process sends can run code in another.
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

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first saves and evaluates alone."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal a process gets when its parent ends."""

BUCKET = 2**26
"""Gradient values that are summed in one message: 256 MB in float32."""


class Agreed(ViubenchError):
    """An error that all processes raise at the same place."""


@dataclass(frozen=True)
class Ranks:
    """One of the processes of a run.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        wanted: where it is to compute: "cpu", "cuda", "cuda:1"; empty is a GPU where there is one.
    """

    rank: int = 0
    size: int = 1
    wanted: str = "cpu"
    _store: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def join(cls, device: str = "") -> Self:
        """This process among those that torchrun started, or alone.

        Args:
            device: "cpu" or "cuda"; empty takes the GPU of the process's number where there are GPUs. "cuda:N" is for
                a process that is alone.

        Raises:
            ViubenchError: more processes than GPUs, one GPU for several, or processes on several machines.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls(wanted=device)
        device = cls(wanted=device).device
        local, here = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
        if here != size:
            raise ViubenchError(
                f"{size} processes on several machines ({here} on this one)",
                where="torchrun",
                hint="one machine is what this loop is for; `viubench export verl` hands over to one for clusters",
            )
        if device.startswith("cuda"):
            device = _gpu(device, local, here)
        _end_with_torchrun()
        return cls(int(os.environ["RANK"]), size, device, _meet(device))

    @property
    def device(self) -> str:
        """Where this process computes."""
        if self.wanted:
            return self.wanted
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that prints, logs and saves."""
        return self.rank == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Part from the others; an error of one ends all, and only the first to fail tells it."""
        if self.size == 1:
            return
        if error is None:
            import torch.distributed as dist

            self.gather(None)
            dist.destroy_process_group()
        elif isinstance(error, Exception) and not self._tells():
            # What fails here afterwards only fails because the other is gone, or for the same reason.
            raise SystemExit(error.exit_code if isinstance(error, ViubenchError) else 1) from None

    def own(self, items: Sequence[T]) -> list[T]:
        """This process's part of `items`: a run of neighbours, of one more or less than another's; order is kept."""
        first, last = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return list(items[first:last])

    def gather(self, value: Any) -> list[Any]:
        """What every process gave (anything that is JSON), by rank; all of them must call it.

        Raises:
            ViubenchError: the others are gone or do not answer.
        """
        if self.size == 1:
            return [value]
        import torch

        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = self._all(torch.tensor([len(data)]))
        longest = max(int(size) for size in sizes)
        found = self._all(torch.nn.functional.pad(data, (0, longest - len(data))))
        return [json.loads(bytes(row[: int(size)].tolist())) for row, size in zip(found, sizes, strict=True)]

    def told(self, value: T) -> T:
        """What the first process gave; for what only one may decide, such as whether a file is there."""
        first: T = self.gather(value)[0]
        return first

    @contextmanager
    def agree(self) -> Iterator[None]:
        """A ViubenchError of one process inside is raised by all, as an `Agreed`, so that they can end together.

        All must come to it; inside, none may wait for another.
        """
        failed: ViubenchError | None = None
        try:
            yield
        except ViubenchError as error:
            if self.size == 1:
                raise
            failed = error
        if self.size == 1:
            return
        for first in filter(None, map(_error, self.gather(_told(failed)))):
            raise first from failed

    def can_save(self, error: ViubenchError) -> bool:
        """Whether all processes are where this error is raised, and can still do something together."""
        return self.size == 1 or isinstance(error, Agreed)

    def level(self, items: Sequence[T]) -> Iterator[tuple[T, bool]]:
        """Own items, as many as the process with most has: the last comes again, marked False, where this has fewer.

        Split weights make every backward pass a matter of all processes: one that had a pass less would stop the
        others. A repeated item counts nothing; time it costs none, for the others are busy anyway.

        Raises:
            ViubenchError: this or another process has no item at all.
        """
        counts = [len(items)] if self.size == 1 else self.gather(len(items))
        if not min(counts):
            raise Agreed(
                f"{sum(counts)} questions a step are not enough for {self.size} processes",
                where="groups",
                hint="give each process one at least: start fewer processes, or ask more questions a step",
            )
        for number in range(max(counts)):
            yield items[min(number, len(items) - 1)], number < len(items)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Put into every parameter's gradient, on every process, the sum of all processes' gradients, in float32.

        It is what DistributedDataParallel does during a backward pass, done once after all of a step's: a step has
        several forward and backward passes, some of them of parts of the model, and it needs no wrapper around it.
        Losses are weighted by their share of the whole batch's answer tokens, so that a sum, not a mean, is right. A
        parameter without gradient on every process keeps none. One that is split over the processes (`sharding`) is
        left alone: its backward pass has summed already.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist
        from torch.distributed.tensor import DTensor

        whole = [p for p in parameters if not isinstance(p, DTensor)]
        used = torch.tensor([p.grad is not None for p in whole], dtype=torch.uint8)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        held = [p for p, anywhere in zip(whole, used.tolist(), strict=True) if anywhere]
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

        found = [torch.empty_like(tensor) for _ in range(self.size)]
        try:
            dist.all_gather(found, tensor)
        except RuntimeError as error:
            raise ViubenchError(
                f"process {self.rank} of {self.size} lost the others: {str(error).splitlines()[0][:200]}",
                where="torchrun",
                hint="one of them was killed, perhaps for want of memory; what torchrun says below names it",
            ) from error
        return found

    def _tells(self) -> bool:
        """Whether no other process failed before; the count is kept by torchrun, which outlives us all."""
        try:
            return int(self._store.add("failed", 1)) == 1
        except RuntimeError:  # the store is gone with its process: better told twice than not at all
            return True


ALONE = Ranks()
"""A run of one process on the CPU."""


def _told(error: ViubenchError | None) -> list[Any] | None:
    return None if error is None else [error.message, error.where, error.hint, int(error.exit_code)]


def _error(told: list[Any] | None) -> Agreed | None:
    if told is None:
        return None
    message, where, hint, code = told
    return Agreed(message, where=where, hint=hint, exit_code=Exit(code))


def _gpu(device: str, local: int, here: int) -> str:
    """The GPU of the process with number `local` on this machine."""
    import torch

    if device != "cuda":
        raise ViubenchError(f"{here} processes cannot share {device}", where="--device", hint="give --device cuda")
    if here > (there := torch.cuda.device_count()):
        raise ViubenchError(
            f"{here} processes for {there} GPUs",
            where="torchrun --nproc-per-node",
            hint=f"start {there} processes, or train on the processors with --device cpu",
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def _end_with_torchrun() -> None:
    """Die when torchrun is killed, on Linux: in sessions of their own, as it starts us, we would go on training unseen.

    Nothing is lost: checkpoints are whole or not there.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _meet(device: str) -> Any:
    """Open the ways between the processes, for JSON and CPU tensors always; returns the store they share."""
    import torch.distributed as dist

    store, rank, size = next(dist.rendezvous("env://", timeout=PATIENCE))
    store.set_timeout(PATIENCE)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
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
