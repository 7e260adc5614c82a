"""Rollouts by vLLM, in the trainer's process and with the trainer's weights.

Example:
    source = VllmRollouts(policy, {"max_model_len": 8192}, max_gap=0.2)
    source.sync()
    rollouts = source(policy.stack(rows), 8, seeds=[3, 4], temperature=1.0, max_tokens=32)

What is trained on is what was sampled: prompt and answer ids, and the log-probabilities of the distribution that the
answers were drawn from, all come from vLLM. After every `sync` they are compared with the policy's own: stale weights,
frames that do not arrive and another layout of the prompt all show there.

Where vLLM and the policy could part, and do not:
- *Prompt.* For a video, Qwen's chat template writes `<|vision_start|><|video_pad|><|vision_end|>`. transformers from
  5.10 on replaces the pad alone, so that the pair stays around all the frames, and vLLM 0.32 does as its transformers
  does; older ones of either replace the pair as well, and a mix of both differs by two tokens. Every answer's prompt
  ids are compared with the packed ones, for the loss is computed on those.
- *Barred tokens.* The policy never says a placeholder of pictures. vLLM gets a bias on them that leaves them nothing.
- *Temperature.* vLLM tells log-probabilities before it unless its logprobs_mode is `processed_logprobs`.
- *End.* vLLM would stop at the tokenizer's end token; the answers end at the policy's ends, and at nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer import checks
from trainer.model import fsdp
from trainer.model.packing import Packed
from trainer.model.policy import NEVER, Policy, Rollouts
from trainer.rollouts.vllm_engine import Colocated
from viubench.engines.vllm import as_prompt
from viubench.errors import ViubenchError
from viubench.schema import content_hash
from viubench.video import timestamps
from viubench.video.frames import VideoInput

if TYPE_CHECKING:
    from torch import Tensor


class VllmRollouts:
    """A `RolloutSource` that answers through vLLM.

    Args:
        policy: whose weights it follows; opened from the folder that vLLM opens too.
        engine_args: further vLLM engine arguments, see `Colocated`.
        max_gap: nats by which its log-probabilities of a question's answers may differ from the policy's after a
            `sync`, on average over the tokens.

    Raises:
        ViubenchError: see `Colocated`.
    """

    def __init__(self, policy: Policy, engine_args: Mapping[str, Any], max_gap: float) -> None:
        self.policy, self.max_gap = policy, max_gap
        dtype = str(policy.base.dtype).removeprefix("torch.")
        self._engine = Colocated(policy.path, dtype, engine_args)
        self._checked = False
        config = policy.base.config
        self._barred = {config.image_token_id: NEVER, config.video_token_id: NEVER}

    def sync(self) -> None:
        """Put the policy's weights as they are now into vLLM; adapters are merged on the way.

        Raises:
            ViubenchError: vLLM does not take them.
        """
        self._engine.load(weights(self.policy))
        self._checked = False

    def __call__(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        """See `RolloutSource`; the first call after a `sync` is checked.

        Raises:
            ViubenchError: vLLM refused a prompt, its prompt is not the packed one, or see `check`.
        """
        asked = [self._prompt(packed, row) for row in range(len(packed)) for _ in range(n)]
        seeded = [answer_seed(seed, number) for seed in seeds for number in range(n)]
        params = [self._sampling(seed, temperature, max_tokens) for seed in seeded]
        outputs = self._engine.generate(asked, params)
        for place, output in enumerate(outputs):
            self._check_prompt(packed, place // n, output.prompt_token_ids)
        rollouts = self._gather([output.outputs[0] for output in outputs])
        if not self._checked:
            self.check(packed, rollouts, temperature)
            self._checked = True
        return rollouts

    def check(self, packed: Packed, rollouts: Rollouts, temperature: float) -> float:
        """The largest difference between vLLM's and the policy's log-probability of an answer token, in nats.

        Raises:
            ViubenchError: on average over a question's answers they differ by more than `max_gap`.
        """
        import torch

        with torch.no_grad():
            own, _ = self.policy.logprobs(packed, rollouts.tokens, rollouts.mask, temperature)
        gaps, largest = checks.gaps(own, rollouts, len(packed))
        checks.check_gap(gaps, packed, self.max_gap)
        return largest

    def rest(self) -> None:
        """Leave the GPU's memory to the update, if `enable_sleep_mode` is among the engine arguments."""
        self._engine.rest()

    def close(self) -> None:
        """Free vLLM; safe to call twice."""
        self._engine.close()

    def _prompt(self, packed: Packed, row: int) -> dict[str, Any]:
        videos = packed.videos[row]
        return as_prompt(
            self.policy.processor, packed.samples[row].question, videos, [media_id(video) for video in videos]
        )

    def _sampling(self, seed: int, temperature: float, max_tokens: int) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            logprobs=0,  # those of the sampled tokens, and no others
            logit_bias=self._barred,
            ignore_eos=True,
            stop_token_ids=self.policy.ends,
            detokenize=False,
        )

    def _check_prompt(self, packed: Packed, row: int, seen: Sequence[int]) -> None:
        kept = packed.inputs["attention_mask"][row].bool()
        packed_ids = packed.inputs["input_ids"][row][kept].tolist()
        if packed_ids == list(seen):
            return
        pairs = zip(packed_ids, seen, strict=False)
        place = next((i for i, (mine, its) in enumerate(pairs) if mine != its), min(len(packed_ids), len(seen)))
        decode = self.policy.processor.tokenizer.decode
        mine, its = (decode(ids[place : place + 4]) for ids in (packed_ids, list(seen)))
        raise ViubenchError(
            f"vLLM reads another prompt than the trainer: {its!r} at token {place}, where the trainer has {mine!r}",
            where=f"item {packed.samples[row].id}",
            hint="this vLLM and this transformers lay prompts out differently; install versions of one time, "
            "or take engine: policy",
        )

    def _gather(self, answers: Sequence[Any]) -> Rollouts:
        """vLLM's answers as `Rollouts`, on the policy's device."""
        import torch

        length = max(len(answer.token_ids) for answer in answers)
        tokens = torch.full((len(answers), length), self.policy.pad)
        logprobs = torch.zeros(len(answers), length)
        mask = torch.zeros(len(answers), length, dtype=torch.bool)
        for row, answer in enumerate(answers):
            ids = list(answer.token_ids)
            tokens[row, : len(ids)] = torch.tensor(ids)
            told = [found[token].logprob for found, token in zip(answer.logprobs, ids, strict=True)]
            logprobs[row, : len(ids)] = torch.tensor(told)
            mask[row, : len(ids)] = True
        decode = self.policy.processor.tokenizer.decode
        texts = [decode(row[kept], skip_special_tokens=True) for row, kept in zip(tokens, mask, strict=True)]
        stopped = [answer.finish_reason == "stop" for answer in answers]
        device = self.policy.base.device
        return Rollouts(tokens.to(device), mask.to(device), logprobs.to(device), texts, stopped)


def weights(policy: Policy) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of the policy as its checkpoint would hold them, adapters merged into copies, one at a time."""
    layers = dict(policy.base.named_modules())
    for name, value in policy.base.state_dict().items():
        if ".lora_" in name:
            continue
        owner, adapted, rest = name.partition(".base_layer.")
        if adapted and rest == "weight":
            layer: Any = layers[owner]
            value = value + sum(layer.get_delta_weight(adapter).detach() for adapter in layer.active_adapters)
        yield (f"{owner}.{rest}" if adapted else name), fsdp.whole(value)


def answer_seed(seed: int, number: int) -> int:
    """The seed, in [0, 2^63), of a question's answer `number`: neighbouring questions share none."""
    return int(content_hash([seed, number]), 16) >> 1


def media_id(video: VideoInput) -> str:
    """What vLLM's caches know a video by: everything that decides its pixels and times."""
    return content_hash([video.pixel_hash(), video.still, timestamps.metadata(video)])
