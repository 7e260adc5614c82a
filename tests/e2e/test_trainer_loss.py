"""Loss and gradient of every step of a training, against the papers' formulas in float64 on transformers' own forward.

Each option is trained for two batches with two updates each, so that every other step is off policy and the later ones
are away from the reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_training import FINETUNING, asked, config, opened

from trainer.config import TrainConfig
from trainer.grpo import VideoGRPOTrainer
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import Reward, shaped
from trainer.rollouts.sampler import Answered, PolicyRollouts, Sampler
from trainer.stage import Stage

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine

SMALL_STD = 1e-4
"""Added to the standard deviation of a group's rewards, as in TRL."""

SHARED: dict[str, Any] = {
    "tasks": {"few": {"weight": 1}, "order": {"weight": 1}}, "temperature": 0.8, "max_steps": 4, "num_iterations": 2,
    "save_steps": 4, "eval_steps": 0, "max_grad_norm": 1e6, "beta": 0.0, "learning_rate": 0.003, "epsilon": 0.1,
    "log_completions": 0,
}  # fmt: skip

OPTIONS: dict[str, dict[str, Any]] = {
    "dapo, clip-higher, KL": {"epsilon_high": 0.3, "beta": 0.3},
    "bias-corrected KL": {"beta": 0.3, "use_bias_correction_kl": True},
    "grpo": {"loss_type": "grpo", "beta": 0.1},
    "bnpo": {"loss_type": "bnpo"},
    "dr_grpo": {"loss_type": "dr_grpo", "scale_rewards": "none"},
    "batch": {"scale_rewards": "batch"},
    "cispo": {"loss_type": "cispo", "epsilon_high": 1.05},
    "GSPO": {
        "importance_sampling_level": "sequence",
        "epsilon": 0.02,
        "epsilon_high": 0.03,
        "loss_type": "grpo",
        "learning_rate": 0.001,
    },
    "truncated ones masked": {"mask_truncated_completions": True},
    "groups skipped": {"dynamic_sampling": "skip", "train_batch_size": 4},
    "soft punishment": {"soft_punish_cache": 4, "length_penalty": 0.1},
    "micro-batches of two": {"micro_batch_size": 2, "beta": 0.3},
    "mini-batches": {"mini_batch_size": 1, "num_iterations": 1},
    "full sequences": {"gradient_checkpointing": True, "beta": 0.3},
    "full sequences, micro-batches of two": {"gradient_checkpointing": True, "micro_batch_size": 2},
    "LoRA": {"finetuning": FINETUNING["lora"], "beta": 0.3},
    "LoRA, full sequences": {"finetuning": FINETUNING["lora"], "beta": 0.3, "gradient_checkpointing": True},
}


class Cut(PolicyRollouts):
    """Answers of several lengths, every other one with an end token; the policy says how likely they are."""

    def __call__(self, rows: Sequence[Packed], n: int, *rest: Any) -> list[Rollouts]:
        result = []
        for packed, whole in zip(rows, super().__call__(rows, n, *rest), strict=True):
            lengths = torch.tensor([2 + (3 * at) % (whole.mask.shape[1] - 1) for at in range(n)])
            mask = torch.arange(whole.mask.shape[1]) < lengths[:, None]
            tokens = whole.tokens.masked_fill(~mask, self.policy.pad)
            for at in range(0, n, 2):
                tokens[at, lengths[at] - 1] = self.policy.ends[0]
            logprobs, _ = self.policy.logprobs(packed, tokens, mask, rest[1])
            result.append(Rollouts(tokens, mask, logprobs, whole.texts, [at % 2 == 0 for at in range(n)]))
        return result


def rewarder(sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
    """Different rewards within a group, but for the second question of a batch in every answer the same."""
    _, place, at = turn
    return Reward(0.5 if place == 1 else ((7 * at + 3 * place) % 5) / 4, 0.0, True, text)


@dataclass
class Step:
    """What a training did at an optimizer step, with the weights before it and those that sampled the answers."""

    loss: float
    gradient: dict[str, Any]
    weights: dict[str, Any]
    sampled: dict[str, Any]
    answered: list[Answered]


class Watched(VideoGRPOTrainer):
    """Notes every step before the weights change."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.steps: list[Step] = []
        self._losses = 0.0
        self.start = self.present()

    def present(self) -> dict[str, Any]:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def sample(self, prompts: Any) -> Any:
        self._sampled = self.present()
        return super().sample(prompts)

    def _compute_loss(self, *given: Any) -> Any:
        loss = super()._compute_loss(*given)
        self._losses += float(loss.detach())
        return loss

    def _get_grad_norm(self, *given: Any, **named: Any) -> Any:
        gradient = {name: p.grad.clone() for name, p in self.model.named_parameters() if p.grad is not None}
        self.steps.append(Step(self._losses, gradient, self.present(), self._sampled, self._answered))
        self._losses = 0.0
        return super()._get_grad_norm(*given, **named)


class Formula:
    """The loss of one configuration, by the papers."""

    def __init__(self, chosen: TrainConfig, trainer: Watched) -> None:
        self.config, self.start = chosen, trainer.start
        policy = opened(chosen)
        self.policy, self.model = policy, policy.base
        if policy.peft_config is not None:
            from peft import get_peft_model

            self.model = get_peft_model(policy.base, policy.peft_config)
        self.model.double()
        self._known: dict[tuple[int, int], list[Any]] = {}

    def logprobs(self, weights: dict[str, Any], answered: Sequence[Answered]) -> list[Any]:
        """Those that `forward` gives, without a gradient; once for the same weights and answers."""
        result = []
        for one in answered:
            key = id(weights), id(one)  # the trainer's steps keep both
            if key not in self._known:
                self._known[key] = self.forward(weights, [one])
            result += self._known[key]
        return result

    def forward(self, weights: dict[str, Any], answered: Sequence[Answered], *, gradient: bool = False) -> list[Any]:
        """Log-probabilities of each answer's tokens, each answer by itself behind its prompt."""
        missing, unknown = self.model.load_state_dict(weights, strict=False)
        assert not unknown
        assert all("rotary" in name or "lm_head" in name for name in missing)
        result = []
        for one in answered:
            packed = Policy.pack(self.policy, one.sample, one.packed.videos[0])
            for tokens, kept in zip(one.rollouts.tokens, one.rollouts.mask, strict=True):
                with torch.set_grad_enabled(gradient):
                    result.append(self._alone(packed, tokens[kept]))
        return result

    def _alone(self, packed: Packed, tokens: Any) -> Any:
        inputs = {name: value.double() if value.is_floating_point() else value for name, value in packed.inputs.items()}
        length = inputs["input_ids"].shape[1]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens[None]], 1)
        for name, filler in (("attention_mask", 1), ("mm_token_type_ids", 0)):
            more = torch.full((1, len(tokens)), filler, dtype=torch.long)
            inputs[name] = torch.cat([inputs[name], more], 1)
        self.policy.base.model.rope_deltas = None
        logits = self.model(**inputs, use_cache=False).logits[0, length - 1 : -1] / self.config.temperature
        return torch.log_softmax(logits, -1).gather(1, tokens[:, None])[:, 0]

    def advantages(self, answered: Sequence[Answered]) -> list[float]:
        groups = [shaped(one.rewards, one.group().lengths, self.config) for one in answered]
        everything = [value for values in groups for value in values]

        def spread(values: Sequence[float]) -> float:
            mean = math.fsum(values) / len(values)
            return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))

        kinds = {"group": spread, "batch": lambda _: spread(everything), "none": lambda _: 1 - SMALL_STD}
        return [
            (value - math.fsum(values) / len(values)) / (kinds[self.config.scale_rewards](values) + SMALL_STD)
            for values in groups
            for value in values
        ]

    def __call__(self, step: Step, part: slice) -> tuple[float, dict[str, Any]]:
        """Loss and gradient of a step over the questions `part` of its batch."""
        c, answered = self.config, step.answered[part]
        old = self.logprobs(step.sampled, answered)
        reference = self.logprobs(self.start, answered) if c.beta else old
        now = self.forward(step.weights, answered, gradient=True)
        ends = [stopped for one in answered for stopped in one.rollouts.stopped]
        varies = [one.group().varies for one in answered for _ in one.rewards]
        taken = [
            (end or not c.mask_truncated_completions) and (vary or c.dynamic_sampling == "none")
            for end, vary in zip(ends, varies, strict=True)
        ]
        batch = self.advantages(step.answered)
        n = c.num_generations
        terms = []
        for at, advantage in enumerate(batch[(part.start or 0) * n :][: len(now)]):
            ratio = (now[at] - old[at].detach()).exp()
            if c.importance_sampling_level == "sequence":
                ratio = (now[at] - old[at].detach()).mean().exp()
            upper = c.epsilon if c.epsilon_high is None else c.epsilon_high
            if c.loss_type == "cispo":
                term = -ratio.clamp(max=upper).detach() * advantage * now[at]
            else:
                clipped = ratio.clamp(1 - c.epsilon, 1 + upper)
                term = -torch.minimum(ratio * advantage, clipped * advantage).expand(len(now[at]))
            odds = (reference[at].detach() - now[at]).exp()
            penalty = (odds - odds.log() - 1) * (ratio if c.use_bias_correction_kl else 1)
            terms.append((term + c.beta * penalty) * taken[at])
        loss = self._mean(terms, taken, len(step.answered) / len(answered), step)
        self.model.zero_grad()
        loss.backward()
        return float(loss.detach()), {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}

    def _mean(self, terms: list[Any], taken: list[bool], parts: float, step: Step) -> Any:
        c, sums = self.config, [term.sum() for term in terms]
        if c.loss_type == "grpo":
            return torch.stack([total / max(len(term), 1) for total, term in zip(sums, terms, strict=True)]).mean()
        if c.loss_type == "dr_grpo":
            return torch.stack(sums).sum() / (len(terms) * c.max_completion_length)
        if c.loss_type == "bnpo":  # a mean over the tokens of each micro-batch
            rows = c.micro_batch_size * c.num_generations
            micro = [torch.cat(terms[at : at + rows]).mean() for at in range(0, len(terms), rows)]
            return torch.stack(micro).mean()
        if parts > 1:  # of a batch in several steps, each is divided by a share of the batch's tokens
            return torch.stack(sums).sum() * parts / sum(int(one.rollouts.mask.sum()) for one in step.answered)
        return torch.stack(sums).sum() / sum(len(term) for term, take in zip(terms, taken, strict=True) if take)


def trained(chosen: TrainConfig, world: Path, out: Path) -> Watched:
    policy, questions = opened(chosen), asked(chosen, world)
    given: Any = rewarder
    stage = Stage(chosen, out, questions, policy, rewarder=given)
    found = []

    def build() -> Watched:
        source = Cut(policy, chosen.micro_batch_size)
        found.append(Watched(stage, Sampler(chosen, policy, source, questions, given, stage.processes)))
        return found[0]

    stage.run(build)
    return found[0]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_step_follows_the_formula(name: str, tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, **(SHARED | OPTIONS[name]))
    trainer = trained(chosen, world, tmp_path)
    formula = Formula(chosen, trainer)
    size = chosen.mini_batch_size or chosen.train_batch_size
    assert len(trainer.steps) == 4
    ratios = []
    for number, step in enumerate(trainer.steps):
        first = number * size % chosen.train_batch_size
        loss, expected = formula(step, slice(first, first + size))
        assert step.loss == pytest.approx(loss, rel=1e-4, abs=1e-6)
        assert step.gradient.keys() == expected.keys()
        mine, its = (torch.cat([one[key].double().flatten() for key in expected]) for one in (step.gradient, expected))
        assert (mine - its).norm() <= 2e-4 * its.norm()  # 0 where every answer is clipped
        moved = formula.logprobs(step.weights, step.answered[:1])
        before = formula.logprobs(step.sampled, step.answered[:1])
        ratios.append(max(float((a - b).abs().max()) for a, b in zip(moved, before, strict=True)))
    assert ratios[0] == ratios[2] == 0
    assert min(ratios[1], ratios[3]) > math.log1p(chosen.epsilon), "some ratio is clipped"
