"""Rollouts by vLLM, in the trainer's process and with the trainer's weights.

Example:
    source = VllmRollouts(policy, {"max_model_len": 8192}, max_gap=0.2)  # a `RolloutSource`

After every `sync_weights` vLLM's log-probabilities are compared with the policy's own. Where the two could differ:
- *Prompt.* Versions of transformers (5.10) and vLLM (0.32) differ in the vision tokens around the frames of a video.
  The prompt ids of every answer are compared with the packed ones.
- *Placeholder tokens.* The tokens of images and videos are never sampled; vLLM gets a logit bias on them, and its
  log-probabilities are over the others.
- *Temperature.* vLLM returns log-probabilities before it unless its logprobs_mode is `processed_logprobs`.
- *Stop tokens.* vLLM would stop at the tokenizer's end token; here it stops at the policy's stop tokens only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer import checks
from trainer.model.forward import NEVER
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rollouts.vllm_engine import ColocatedEngine
from viubench.engines.vllm.prompt import as_prompt
from viubench.errors import ViubenchError
from viubench.schema import content_hash
from viubench.video import timestamps
from viubench.video.frames import VideoInput

if TYPE_CHECKING:
    from torch import Tensor


class VllmRollouts:
    """A `RolloutSource` that answers through a `ColocatedEngine` with `engine_args`, and raises as it does.

    `max_gap`: nats by which its log-probabilities of a question's answers may differ from the policy's after a sync,
    on average over the tokens.
    """

    def __init__(self, policy: Policy, engine_args: Mapping[str, Any], max_gap: float) -> None:
        self.policy, self.max_gap = policy, max_gap
        dtype = str(policy.base.dtype).removeprefix("torch.")
        self._engine = ColocatedEngine(policy.path, dtype, engine_args)
        self._checked = False
        self._logit_bias = dict.fromkeys(policy.barred, NEVER)

    def sync_weights(self) -> None:
        """Load the policy's present weights into vLLM, adapters merged."""
        self._engine.load(merged_weights(self.policy))
        self._checked = False

    def __call__(
        self, rows: Sequence[Packed], n: int, seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[Rollouts]:
        """See `RolloutSource`; all questions are asked at once. Prompts are checked, and log-probabilities of the first
        question after a sync."""
        prompts = [prompt for packed in rows for prompt in [self._prompt(packed)] * n]
        params = [
            self._sampling(answer_seed(seed, number), temperature, max_tokens) for seed in seeds for number in range(n)
        ]
        outputs = self._engine.generate(prompts, params)
        result = []
        for start, packed in zip(range(0, len(outputs), n), rows, strict=True):
            for output in outputs[start : start + n]:
                self._check_prompt(packed, output.prompt_token_ids)
            result.append(self._to_rollouts([output.outputs[0] for output in outputs[start : start + n]]))
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
        self._engine.sleep()

    def close(self) -> None:
        """Free vLLM; safe to call twice."""
        self._engine.close()

    def _prompt(self, packed: Packed) -> dict[str, Any]:
        (sample,), (videos,) = packed.samples, packed.videos
        return as_prompt(self.policy.processor, sample.question, videos, list(map(media_id, videos)))

    def _sampling(self, seed: int, temperature: float, max_tokens: int) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            logprobs=0,  # those of the sampled tokens, and no others
            logit_bias=self._logit_bias,
            ignore_eos=True,
            stop_token_ids=self.policy.ends,
            detokenize=False,
        )

    def _check_prompt(self, packed: Packed, seen: Sequence[int]) -> None:
        packed_ids = packed.inputs["input_ids"][0].tolist()
        if packed_ids == list(seen):
            return
        pairs = zip(packed_ids, seen, strict=False)
        place = next((i for i, (mine, its) in enumerate(pairs) if mine != its), min(len(packed_ids), len(seen)))
        decode = self.policy.processor.tokenizer.decode
        mine, its = (decode(ids[place : place + 4]) for ids in (packed_ids, list(seen)))
        raise ViubenchError(
            f"vLLM's prompt differs from the trainer's: {its!r} at token {place}, where the trainer has {mine!r}",
            where=f"item {packed.samples[0].id}",
            hint="this vLLM and this transformers build prompts differently; install matching versions, "
            "or use engine: policy",
        )

    def _to_rollouts(self, answers: Sequence[Any]) -> Rollouts:
        """vLLM's answers as `Rollouts`, on the policy's device."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        tokens, mask = self.policy.pad_answers([list(answer.token_ids) for answer in answers])
        sampled = [
            torch.tensor([by_token[token].logprob for by_token, token in zip(one.logprobs, one.token_ids, strict=True)])
            for one in answers
        ]
        logprobs = pad_sequence(sampled, batch_first=True).to(tokens.device)
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
