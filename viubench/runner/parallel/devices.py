"""What of a machine each replica gets: its GPUs, or its cores where there is no GPU.

Example:
    >>> split(["0", "1", "2", "3"], replicas=2, each=2)
    [['0', '1'], ['2', '3']]
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

from viubench.engines import engine_args
from viubench.engines.gpus import built_for, visible_gpus
from viubench.errors import ViubenchError

T = TypeVar("T")

PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size")
"""vLLM's arguments that say over how many GPUs one engine is spread."""


def gpus_each(args: Mapping[str, str]) -> int:
    """GPUs that one engine with these `--engine-arg`s takes; ViubenchError for a size that is no whole number."""
    given = {name: args[name] for name in PARALLEL if name in args}
    sizes = engine_args.typed(given, dict.fromkeys(PARALLEL, int), "vllm")
    if wrong := [name for name, size in sizes.items() if size < 1]:
        raise ViubenchError(f"{wrong[0]}={given[wrong[0]]} is less than 1", where="--engine-arg")
    return math.prod(sizes.values())


def gpu_shares(replicas: int, each: int) -> list[list[str]]:
    """The GPUs of each replica, as CUDA_VISIBLE_DEVICES names them; [] on a machine without one. Raises ViubenchError
    where there are GPUs, but not `replicas` times `each`."""
    gpus = [] if built_for("torch") in (None, "cpu") else visible_gpus()
    if not gpus:
        return []
    if len(gpus) < replicas * each:
        raise ViubenchError(
            f"{replicas} replicas with {each} GPUs each need {replicas * each}, and {len(gpus)} can be seen",
            where="--replicas",
            hint="fewer replicas, a smaller tensor_parallel_size, or another CUDA_VISIBLE_DEVICES",
        )
    return split(gpus, replicas, each)


def core_shares(replicas: int) -> list[list[int]]:
    """The cores of each replica; empty lists, which leave all to all, where there are fewer cores than replicas."""
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(replicas)]
    cores = sorted(os.sched_getaffinity(0))
    return split(cores, replicas, len(cores) // replicas)


def split(things: Sequence[T], replicas: int, each: int) -> list[list[T]]:
    """`each` of `things` for one replica after the other."""
    return [list(things[number * each : (number + 1) * each]) for number in range(replicas)]
