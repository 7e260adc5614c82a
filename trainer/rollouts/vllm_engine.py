"""vLLM inside the trainer's process, so that the trainer's weights can be loaded into it directly.

Example:
    llm, ours = open_engine(Path("tiny-qwen3-vl"), "float32", {"max_model_len": 4096})
    with shared_state_kept():
        llm.generate(prompts, params)

`viubench.engines.vllm` runs vLLM's core in a child process, whose weights are out of reach. Here the core and its only
worker run in this process; under torchrun every rank has its own engine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from viubench.engines import engine_args
from viubench.engines.base import allow_read_only_frames
from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.vllm.process import CoreLog, set_environment, start_error
from viubench.engines.vllm.settings import default_settings
from viubench.errors import ViubenchError

WHERE = "rollout.engine_args"

SHARE = 0.3
"""Of a GPU's memory, unless `gpu_memory_utilization` says otherwise: the trainer needs the rest."""

DECIDED = (
    "model", "dtype", "seed", "logprobs_mode", "distributed_executor_backend",
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
)  # fmt: skip
"""Engine arguments that the training configuration or the single worker determine."""


def open_engine(path: Path, dtype: str, args: Mapping[str, Any]) -> tuple[Any, bool]:
    """vLLM's LLM of checkpoint `path` with its worker in this process, and whether it created its process group. Raises
    ViubenchError without vLLM, for an unknown argument or one of `DECIDED`, and where the model does not open."""
    from accelerate.utils import patch_environment

    set_environment()
    allow_read_only_frames()
    with patch_environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"), shared_state_kept(), CoreLog() as log:
        try:
            return _open(path, dtype, args)
        except ViubenchError:
            raise
        except Exception as error:  # the user needs the reason, whatever vLLM raised
            raise start_error(error, log.reason(), str(path), WHERE) from error


def _open(path: Path, dtype: str, args: Mapping[str, Any]) -> tuple[Any, bool]:
    try:
        import torch
        from vllm import LLM
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
    except ImportError as error:
        hint = "pip install 'viubench[cpu]' (or 'viubench[gpu]'), or use engine: policy"
        raise ViubenchError(f"rollouts by vLLM need vllm: {error}", where="rollout.engine", hint=hint) from error
    if decided := [name for name in args if name in DECIDED]:
        raise ViubenchError(f"{decided[0]} is determined by the training and cannot be set", where=WHERE)
    engine_args.refuse_unknown(args, {field.name for field in dataclasses.fields(EngineArgs)}, "vllm", WHERE)
    checkpoint, on_cpu = describe_checkpoint(str(path)), current_platform.is_cpu()
    settings = default_settings(checkpoint, on_cpu=on_cpu) | ({} if on_cpu else {"gpu_memory_utilization": SHARE})
    # Log-probabilities of the sampled distribution: after the temperature and the logit bias.
    settings |= {"dtype": dtype, "logprobs_mode": "processed_logprobs", "use_tqdm_on_load": False}
    ours = not torch.distributed.is_initialized()
    settings |= {} if ours else {"distributed_executor_backend": "external_launcher"}
    return LLM(model=checkpoint["path"], **settings | dict(args)), ours


@contextmanager
def process_group_kept() -> Iterator[None]:
    """vLLM destroys the process group it worked in; under torchrun that is the trainer's, which is kept."""
    import torch.distributed

    destroy = torch.distributed.destroy_process_group
    torch.distributed.destroy_process_group = lambda group=None: None if group is None else destroy(group)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group = destroy


@contextmanager
def shared_state_kept() -> Iterator[None]:
    """Restore the global random number generators and, on a CPU, `torch.set_num_threads`: vLLM changes both."""
    import random

    import numpy as np
    import torch

    python, numpy, set_threads = random.getstate(), np.random.get_state(), torch.set_num_threads
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_num_threads = set_threads
