"""Rollouts by vLLM, in the trainer's process and with the trainer's weights.

Example:
    source = VllmRollouts(policy, {"max_model_len": 8192}, max_gap=0.2)  # a `RolloutSource`

vLLM's core and its only worker run in this process; under torchrun every rank has its own engine. After every
`sync_weights` vLLM's log-probabilities are compared with the policy's own. Where the two could differ:
- *Prompt.* Versions of transformers (5.10) and vLLM (0.32) differ in the vision tokens around the frames of a video.
- *Placeholder tokens.* Those of images and videos are never sampled; vLLM gets a logit bias on them, and its
  log-probabilities are over the others.
- *Temperature.* vLLM returns log-probabilities before it unless its logprobs_mode is `processed_logprobs`.
- *Stop tokens.* vLLM would stop at the tokenizer's end token; here it stops at the policy's stop tokens only.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer import checks
from trainer.model.forward import NEVER
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from viubench.engines import engine_args as arguments
from viubench.engines.base import allow_read_only_frames
from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.vllm.process import CoreLog, reason, set_environment, start_error
from viubench.engines.vllm.prompt import AS_WRITTEN, as_prompt
from viubench.engines.vllm.settings import default_settings
from viubench.errors import ViubenchError
from viubench.schema import content_hash
from viubench.video import timestamps
from viubench.video.frames import VideoInput

WHERE = "rollout.engine_args"

SHARE = 0.3  # of a GPU's memory, unless `gpu_memory_utilization` says otherwise: the trainer needs the rest

# Engine arguments that the training configuration or the single worker determine.
DECIDED = (
    "model", "dtype", "seed", "logprobs_mode", "distributed_executor_backend",
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
)  # fmt: skip


class VllmRollouts:
    """A `RolloutSource` that answers through vLLM with `engine_args`, and raises as `open_engine`. `max_gap`: nats a
    token by which its log-probabilities of a question's answers may differ from the policy's after a sync."""

    def __init__(self, policy: Policy, engine_args: Mapping[str, Any], max_gap: float) -> None:
        self.policy, self.max_gap = policy, max_gap
        dtype = str(policy.base.dtype).removeprefix("torch.")
        self._llm, self._group_is_ours = open_engine(policy.path, dtype, engine_args)
        self._sleeps, self._asleep, self._checked = bool(engine_args.get("enable_sleep_mode")), False, False

    def sync_weights(self) -> None:
        """Load the policy's present weights into vLLM, adapters merged, and reset its caches."""
        self._wake()
        self._checked = False
        weights = merged_weights(self.policy)
        try:
            # Not the model's load_weights: on a CPU the linear layers hold repacked copies, which only this updates.
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
            # The caches of prefixes and of vision features do not depend on the weights.
            if not self._llm.reset_prefix_cache():
                raise RuntimeError("the prefix cache is in use")
            self._llm.llm_engine.reset_encoder_cache()
        except Exception as error:  # its names and layouts change from version to version
            import vllm

            hint = f"vLLM {vllm.__version__} and this model do not fit; use engine: policy"
            said = f"vLLM did not load the trainer's weights: {reason(error)}"
            raise ViubenchError(said, where="rollout", hint=hint) from error

    def __call__(
        self, rows: Sequence[Packed], n: int, seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[Rollouts]:
        """See `RolloutSource`; all questions are asked at once. Prompts are checked, and log-probabilities of the first
        question after a sync."""
        from vllm import SamplingParams

        prompts: list[Any] = []
        for row in rows:
            (sample,), (videos,) = row.samples, row.videos
            prompts += [as_prompt(self.policy.processor, sample.question, videos, list(map(media_id, videos)))] * n
        # Log-probabilities of the sampled tokens, and no others.
        shared: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens, "logprobs": 0}
        shared |= {"ignore_eos": True, "stop_token_ids": self.policy.ends, "detokenize": False}
        shared |= {"logit_bias": dict.fromkeys(self.policy.barred, NEVER)}
        params = [SamplingParams(seed=answer_seed(seed, number), **shared) for seed in seeds for number in range(n)]
        self._wake()
        try:
            with _shared_state_kept():
                outputs = self._llm.generate(prompts, params, use_tqdm=False, tokenization_kwargs=AS_WRITTEN)
        except Exception as error:  # the user needs the reason, whatever vLLM raised
            raise ViubenchError(f"vLLM could not answer: {reason(error)}", where="rollout") from error
        result = []
        for number, packed in enumerate(rows):
            answers = outputs[number * n : (number + 1) * n]
            for answer in answers:
                self._check_prompt(packed, answer.prompt_token_ids)
            result.append(self._to_rollouts([answer.outputs[0] for answer in answers]))
        if rows and not self._checked:
            self.check(rows[0], result[0], temperature)
            self._checked = True
        return result

    def check(self, packed: Packed, rollouts: Rollouts, temperature: float) -> float:
        """The largest gap to the policy's log-probabilities, in nats; ViubenchError for a mean above `max_gap`."""
        own, _ = self.policy.logprobs(packed, rollouts.tokens, rollouts.mask, temperature, self.policy.barred)
        gaps, largest = checks.gaps(own - rollouts.logprobs, rollouts.mask, len(packed))
        checks.check_logprob_gap(gaps, packed, self.max_gap)
        return largest

    def sleep(self) -> None:
        """Free the GPU's memory for the update, if `enable_sleep_mode` is among the engine arguments."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=1)  # weights to main memory, cache dropped
            self._asleep = True

    def close(self) -> None:
        """Free vLLM; safe to call twice."""
        llm, self._llm = self._llm, None
        if llm is not None:
            with nullcontext() if self._group_is_ours else _process_group_kept():
                llm.llm_engine.engine_core.shutdown()

    def _wake(self) -> None:
        if self._asleep:
            self._llm.wake_up()
            self._asleep = False

    def _check_prompt(self, packed: Packed, seen: Sequence[int]) -> None:
        packed_ids = packed.inputs["input_ids"][0].tolist()
        if packed_ids == list(seen):
            return
        pairs = zip(packed_ids, seen, strict=False)
        place = next((i for i, (mine, its) in enumerate(pairs) if mine != its), min(len(packed_ids), len(seen)))
        decode = self.policy.processor.tokenizer.decode
        mine, its = (decode(ids[place : place + 4]) for ids in (packed_ids, list(seen)))
        said = f"vLLM's prompt differs from the trainer's: {its!r} at token {place}, where the trainer has {mine!r}"
        hint = "this vLLM and this transformers build prompts differently; install matching versions, or use "
        raise ViubenchError(said, where=f"item {packed.samples[0].id}", hint=f"{hint}engine: policy")

    def _to_rollouts(self, answers: Sequence[Any]) -> Rollouts:
        """vLLM's answers as `Rollouts`, on the policy's device."""
        tokens, mask = self.policy.pad_answers([list(answer.token_ids) for answer in answers])
        sampled = [
            by_token[token].logprob
            for one in answers
            for by_token, token in zip(one.logprobs, one.token_ids, strict=True)
        ]
        logprobs = torch.zeros(mask.shape, device=mask.device).masked_scatter(
            mask, torch.tensor(sampled).to(mask.device)
        )
        stopped = [answer.finish_reason == "stop" for answer in answers]
        return Rollouts(tokens, mask, logprobs, self.policy.decode(tokens, mask), stopped)


def merged_weights(policy: Policy) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors as in a checkpoint of the policy, adapters merged into copies, one at a time."""
    layers = dict(policy.base.named_modules())
    for name, value in policy.base.state_dict().items():
        if ".lora_" in name:
            continue
        owner, adapted, rest = name.partition(".base_layer.")
        if adapted and rest == "weight":
            layer: Any = layers[owner]
            value = value + sum(layer.get_delta_weight(adapter).detach() for adapter in layer.active_adapters)
        full = value.full_tensor() if hasattr(value, "full_tensor") else value  # of weights that are sharded
        yield (f"{owner}.{rest}" if adapted else name), full


def answer_seed(seed: int, number: int) -> int:
    """The seed, in [0, 2^63), of a question's answer `number`; distinct also for neighbouring questions."""
    return int(content_hash([seed, number]), 16) >> 1


def media_id(video: VideoInput) -> str:
    """The key of a video in vLLM's caches: a hash of its pixels and times."""
    return content_hash([video.pixel_hash(), video.still, timestamps.metadata(video)])


def open_engine(path: Path, dtype: str, args: Mapping[str, Any]) -> tuple[Any, bool]:
    """vLLM's LLM of checkpoint `path` with its worker in this process, and whether it created its process group. Raises
    ViubenchError without vLLM, for an unknown argument or one of `DECIDED`, and where the model does not open."""
    from accelerate.utils import patch_environment

    set_environment()
    allow_read_only_frames()
    with patch_environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"), _shared_state_kept(), CoreLog() as log:
        try:
            return _open(path, dtype, args)
        except ViubenchError:
            raise
        except Exception as error:  # the user needs the reason, whatever vLLM raised
            raise start_error(error, log.reason(), str(path), WHERE) from error


def _open(path: Path, dtype: str, args: Mapping[str, Any]) -> tuple[Any, bool]:
    try:
        from vllm import LLM
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
    except ImportError as error:
        hint = "pip install 'viubench[cpu]' (or 'viubench[gpu]'), or use engine: policy"
        raise ViubenchError(f"rollouts by vLLM need vllm: {error}", where="rollout.engine", hint=hint) from error
    if decided := [name for name in args if name in DECIDED]:
        raise ViubenchError(f"{decided[0]} is determined by the training and cannot be set", where=WHERE)
    arguments.refuse_unknown(args, {field.name for field in dataclasses.fields(EngineArgs)}, "vllm", WHERE)
    checkpoint, on_cpu = describe_checkpoint(str(path)), current_platform.is_cpu()
    settings = default_settings(checkpoint, on_cpu=on_cpu) | ({} if on_cpu else {"gpu_memory_utilization": SHARE})
    # Log-probabilities of the sampled distribution: after the temperature and the logit bias.
    settings |= {"dtype": dtype, "logprobs_mode": "processed_logprobs", "use_tqdm_on_load": False}
    ours = not torch.distributed.is_initialized()
    settings |= {} if ours else {"distributed_executor_backend": "external_launcher"}
    return LLM(model=checkpoint["path"], **settings | dict(args)), ours


@contextmanager
def _process_group_kept() -> Iterator[None]:
    """vLLM destroys the process group it worked in; under torchrun that is the trainer's, which is kept."""
    destroy = torch.distributed.destroy_process_group
    torch.distributed.destroy_process_group = lambda group=None: None if group is None else destroy(group)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group = destroy


@contextmanager
def _shared_state_kept() -> Iterator[None]:
    """Restore the global random number generators and, on a CPU, `torch.set_num_threads`: vLLM changes both."""
    python, numpy, set_threads = random.getstate(), np.random.get_state(), torch.set_num_threads
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_num_threads = set_threads
