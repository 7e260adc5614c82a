"""vLLM inside the trainer's process, so that the trainer's weights can be loaded into it directly.

Example:
    engine = ColocatedEngine(Path("tiny-qwen3-vl"), "float32", {"max_model_len": 4096})
    engine.load(model.state_dict().items())
    outputs = engine.generate(prompts, params)  # vLLM's RequestOutput of each
    engine.close()

`viubench.engines.vllm` runs vLLM's core in a child process, whose weights are out of reach. Here the core and its only
worker run in this process; under torchrun every rank has its own engine.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viubench.engines import engine_args
from viubench.engines.base import allow_read_only_frames
from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.vllm.process import CoreLog, reason, set_environment, start_error
from viubench.engines.vllm.prompt import AS_WRITTEN
from viubench.engines.vllm.settings import default_settings
from viubench.errors import ViubenchError

if TYPE_CHECKING:
    from torch import Tensor

WHERE = "rollout.engine_args"

SHARE = 0.3
"""Of a GPU's memory, unless `gpu_memory_utilization` says otherwise: the trainer needs the rest."""

DECIDED = (
    "model", "dtype", "seed", "logprobs_mode", "distributed_executor_backend",
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
)  # fmt: skip
"""Engine arguments that the training configuration or the single worker determine."""


class ColocatedEngine:
    """vLLM's synchronous engine of checkpoint `path`, with its worker in this process; `args` are engine arguments.

    Raises:
        ViubenchError: no vLLM, an unknown argument or one of `DECIDED`, or a model that vLLM does not open.
    """

    def __init__(self, path: Path, dtype: str, args: Mapping[str, Any]) -> None:
        self._llm: Any = None
        self._sleeps = bool(args.get("enable_sleep_mode"))
        self._asleep = False
        set_environment()
        with _in_process_core(), _shared_state_kept(), CoreLog() as log:
            try:
                self._llm, self._group_is_ours = _open(path, dtype, args)
            except ViubenchError:
                raise
            except Exception as error:  # the user needs the reason, whatever vLLM raised
                raise start_error(error, log.reason(), str(path), WHERE) from error

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Replace all weights (as in the checkpoint, each module's one after the other); reset the caches."""
        self._wake()
        try:
            # Not the model's load_weights: on a CPU the linear layers hold repacked copies, which only this updates.
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
            # The caches of prefixes and of vision features do not depend on the weights.
            if not self._llm.reset_prefix_cache():
                raise RuntimeError("the prefix cache is in use")
            self._llm.llm_engine.reset_encoder_cache()
        except Exception as error:  # its names and layouts change from version to version
            import vllm

            raise ViubenchError(
                f"vLLM did not load the trainer's weights: {reason(error)}",
                where="rollout",
                hint=f"vLLM {vllm.__version__} and this model do not fit; use engine: policy",
            ) from error

    def generate(self, prompts: Sequence[Mapping[str, Any]], params: Sequence[Any]) -> list[Any]:
        """vLLM's RequestOutput of each prompt (see `as_prompt`) with its SamplingParams."""
        self._wake()
        with _shared_state_kept():
            try:
                answered = self._llm.generate(
                    list(prompts), list(params), use_tqdm=False, tokenization_kwargs=AS_WRITTEN
                )
            except Exception as error:  # the user needs the reason, whatever vLLM raised
                raise ViubenchError(f"vLLM could not answer: {reason(error)}", where="rollout") from error
        return list(answered)

    def sleep(self) -> None:
        """Free the GPU's memory until the next `load` or `generate`, if `enable_sleep_mode` is set."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=1)  # weights to main memory, cache dropped
            self._asleep = True

    def close(self) -> None:
        """Free the engine; safe to call twice."""
        llm, self._llm = self._llm, None
        if llm is not None:
            with nullcontext() if self._group_is_ours else _process_group_kept():
                llm.llm_engine.engine_core.shutdown()

    def _wake(self) -> None:
        if self._asleep:
            self._llm.wake_up()
            self._asleep = False


def _open(path: Path, dtype: str, args: Mapping[str, Any]) -> tuple[Any, bool]:
    """vLLM's LLM, and whether it created the process group that it works in."""
    allow_read_only_frames()
    try:
        import torch
        from vllm import LLM
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
    except ImportError as error:
        raise ViubenchError(
            f"rollouts by vLLM need vllm: {error}",
            where="rollout.engine",
            hint="pip install 'viubench[cpu]' (or 'viubench[gpu]'), or use engine: policy",
        ) from error
    if decided := [name for name in args if name in DECIDED]:
        raise ViubenchError(f"{decided[0]} is determined by the training and cannot be set", where=WHERE)
    engine_args.refuse_unknown(args, {field.name for field in dataclasses.fields(EngineArgs)}, "vllm", WHERE)
    checkpoint = describe_checkpoint(str(path))
    settings = default_settings(checkpoint, on_cpu=current_platform.is_cpu())
    if not current_platform.is_cpu():
        settings["gpu_memory_utilization"] = SHARE
    # Log-probabilities of the sampled distribution: after the temperature and the logit bias.
    settings |= {"dtype": dtype, "logprobs_mode": "processed_logprobs", "use_tqdm_on_load": False}
    ours = not torch.distributed.is_initialized()
    if not ours:
        settings["distributed_executor_backend"] = "external_launcher"
    return LLM(model=checkpoint["path"], **settings | dict(args)), ours


@contextmanager
def _in_process_core() -> Iterator[None]:
    """Keep the core of an engine that is opened inside in this process; later engines choose themselves."""
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _process_group_kept() -> Iterator[None]:
    """vLLM destroys the process group it worked in; under torchrun that is the trainer's, which is kept."""
    import torch.distributed

    destroy = torch.distributed.destroy_process_group

    def keeping(group: Any = None) -> None:
        if group is not None:
            destroy(group)

    torch.distributed.destroy_process_group = keeping
    try:
        yield
    finally:
        torch.distributed.destroy_process_group = destroy


@contextmanager
def _shared_state_kept() -> Iterator[None]:
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
