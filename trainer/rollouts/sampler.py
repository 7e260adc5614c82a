"""The rollouts of a step: questions asked, their answers sampled, rewarded, and some of them logged.

Example:
    source = rollout_source(config, policy)
    answered = Sampler(config, policy, source, questions, rewarder, processes).batch(7)
    answered[0].rewards[0].value   # the reward of the first answer to the first question
    log_answers(Path("runs/train"), 7, answered, config)   # runs/train/answers/step-000007.parquet, a row an answer
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import pvariance
from typing import Protocol

from trainer import checks
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.processes import Processes
from trainer.rewards import AnswerGroup, Rewarder
from trainer.rollouts.vllm import VllmRollouts
from viubench.pretext.rng import seed_of
from viubench.schema import Sample, canonical_json
from viubench.scoring.reward import Reward
from viubench.video.frames import VideoInput

ANSWERS = "answers"  # folder of the logged answers


class RolloutSource(Protocol):
    """Samples answers with the policy's weights of the last `sync_weights`."""

    def __call__(
        self, rows: Sequence[Packed], n: int, seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[Rollouts]:
        """`n` answers to each question, the rollouts of each (see `Policy.rollout`). `rows` are single questions;
        `seeds`, one for each in [0, 2^63), are the only randomness of the answers; `temperature` is above 0, and that
        of the log-probabilities. Raises ViubenchError when the source failed."""
        ...

    def sync_weights(self) -> None:
        """Load the policy's present weights; called after they have changed."""
        return

    def sleep(self) -> None:
        """Free the device for the update, until it is asked again."""
        return

    def close(self) -> None:
        """Free its resources; safe to call twice."""
        return


class PolicyRollouts(RolloutSource):
    """The policy samples itself, `size` questions at a time; there is nothing to sync or to free."""

    def __init__(self, policy: Policy, size: int) -> None:
        self.policy, self.size = policy, size

    def __call__(
        self, rows: Sequence[Packed], n: int, seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[Rollouts]:
        result: list[Rollouts] = []
        for part in (slice(start, start + self.size) for start in range(0, len(rows), self.size)):
            packed = self.policy.stack(rows[part])
            result += self.policy.rollout(packed, n, seeds[part], temperature, max_tokens).split(n)
        return result


@dataclass(frozen=True)
class Answered:
    """A question, `packed` alone, with its n answers and their rewards."""

    sample: Sample
    packed: Packed
    rollouts: Rollouts
    rewards: list[Reward]

    def group(self) -> AnswerGroup:
        """The answers, for diagnostics."""
        return AnswerGroup(self.sample.task, self.rewards, self.rollouts.mask.sum(1).tolist())


@dataclass
class Sampler:
    """Asks questions and rewards the answers; the frames of the next batch are decoded meanwhile."""

    config: TrainConfig
    policy: Policy
    source: RolloutSource
    questions: Questions
    rewarder: Rewarder
    processes: Processes
    _decoder: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "decode"), repr=False)
    _decoded: dict[str, Future[tuple[VideoInput, ...]]] = field(default_factory=dict, repr=False)

    def batch(self, number: int) -> list[Answered]:
        """This process's questions of batch `number`, answered. With `dynamic_sampling: resample`, those whose answers
        all have one reward are replaced by others of their task, at most `max_resamples` times."""
        turns, config = self._turns(number), self.config
        answered = self._ask(turns, number, 0)
        if (curriculum := self.questions.curriculum) is not None:
            groups = [(one.sample.id, pvariance(reward.value for reward in one.rewards)) for one in answered]
            curriculum.update(self.processes.gather(groups))
        for attempt in range(1, 1 + config.max_resamples * (config.dynamic_sampling == "resample")):
            dull = [at for at, one in enumerate(answered) if not one.group().varies]
            if not (most := max(self.processes.gather([len(dull)]))):
                break
            # All processes ask equally many: with sharded weights each forward pass needs them all.
            asked = [turns[at] for at in [*dull, *range(len(turns))][:most]]
            first = (number * config.max_resamples + attempt) * config.train_batch_size
            again = [(at, self.questions.draw("resample", sample.task, first + at)) for at, sample in asked]
            for at, one in zip(dull, self._ask(again, number, attempt), strict=False):
                answered[at] = one
        if (number + 1) * config.steps_per_batch < config.max_steps:
            ahead = {sample.id: sample for _, sample in self._turns(number + 1)}
            self._decoded = {name: self._decoder.submit(self.questions.videos, one) for name, one in ahead.items()}
        return answered

    def _turns(self, number: int) -> list[tuple[int, Sample]]:
        """This process's questions with their places in the whole batch."""
        return self.processes.share(list(enumerate(self.questions.batch(number))))

    def _ask(self, turns: Sequence[tuple[int, Sample]], number: int, attempt: int) -> list[Answered]:
        n, most = self.config.num_generations, self.config.max_completion_length
        rows = []
        for _, sample in turns:
            decoded = self._decoded.pop(sample.id, None)
            rows.append(self.policy.pack(sample, decoded.result() if decoded else self.questions.videos(sample)))
            checks.check_prompt(self.policy, rows[-1])
        seeds = [seed_of("rollout", self.config.seed, number, place, attempt) for place, _ in turns]
        sampled = self.source(rows, n, seeds, self.config.temperature, most)
        answered = []
        for (place, sample), packed, rollouts in zip(turns, rows, sampled, strict=True):
            rewards = [
                self.rewarder(sample, text, "stop" if stopped else "length", (number, place, at))
                for at, (text, stopped) in enumerate(zip(rollouts.texts, rollouts.stopped, strict=True))
            ]
            answered.append(Answered(sample, packed, rollouts, rewards))
        return answered


def log_answers(out: Path, step: int, answered: Sequence[Answered], config: TrainConfig) -> None:
    """Write answers to questions of a step (from 0), at most `log_completions`, all those of a question together."""
    import pandas as pd

    rows = [
        {
            "step": step, "task": one.sample.task, "sample": one.sample.id, "question": one.sample.question,
            "target": one.sample.answer_text, "answer": text, "parsed": reward.parsed,
            "read_as": canonical_json(reward.answer) if reward.parsed else "", "reward": reward.value,
            "exact": reward.strict == 1, "tokens": int(kept.sum()), "stopped": stopped,
        }
        for one in answered[: -(-config.log_completions // config.num_generations)]
        for reward, text, stopped, kept in zip(
            one.rewards, one.rollouts.texts, one.rollouts.stopped, one.rollouts.mask, strict=True
        )
    ]  # fmt: skip
    (out / ANSWERS).mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows[: config.log_completions]).to_parquet(out / ANSWERS / f"step-{step:06d}.parquet", index=False)


def rollout_source(config: TrainConfig, policy: Policy) -> RolloutSource:
    """The source that the configuration names under `rollout`; the caller closes it."""
    if config.rollout.engine == "policy":
        return PolicyRollouts(policy, config.micro_batch_size)
    return VllmRollouts(policy, config.rollout.engine_args, config.max_logprob_gap)
