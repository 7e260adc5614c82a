"""The rollouts of a step: questions asked, their answers sampled and rewarded.

Example:
    answered = Sampler(config, policy, source, questions, rewarder, processes).batch(7)
    answered[0].rewards[0].value   # the reward of the first answer to the first question

Batch k is a pure function of the weights and (seed, k), so a resumed run asks what the stopped one would have asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from trainer import checks
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.processes import Processes
from trainer.rewards import AnswerGroup, Reward, Rewarder
from trainer.rollouts.base import RolloutSource
from viubench.pretext.rng import seed_of
from viubench.schema import Sample
from viubench.video.frames import VideoInput


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
        """This process's questions of batch `number`, answered.

        With `dynamic_sampling: resample`, questions whose answers all have one reward are replaced by others, at most
        `max_resamples` times.
        """
        turns = self._turns(number)
        answered = self._ask(turns, number, 0)
        for attempt in range(1, 1 + self.config.max_resamples * (self.config.dynamic_sampling == "resample")):
            dull = [at for at, one in enumerate(answered) if not one.group().varies]
            if not (most := max(self.processes.gather([len(dull)]))):
                break
            # All processes ask equally many: with sharded weights each forward pass needs them all.
            asked = [*dull, *range(len(turns))][:most]
            again = [(turns[at][0], self._other(turns[at], number, attempt)) for at in asked]
            for at, one in zip(dull, self._ask(again, number, attempt), strict=False):
                answered[at] = one
        self._decode_ahead(number + 1)
        return answered

    def _other(self, asked: tuple[int, Sample], number: int, attempt: int) -> Sample:
        """Another question of the same task."""
        place, sample = asked
        turn = (number * self.config.max_resamples + attempt) * self.config.train_batch_size + place
        return self.questions.draw("resample", sample.task, turn)

    def _turns(self, number: int) -> list[tuple[int, Sample]]:
        """This process's questions with their places in the whole batch."""
        return self.processes.share(list(enumerate(self.questions.batch(number))))

    def _ask(self, turns: Sequence[tuple[int, Sample]], number: int, attempt: int) -> list[Answered]:
        n, most = self.config.num_generations, self.config.max_completion_length
        rows = [self._pack(sample) for _, sample in turns]
        seeds = [seed_of("rollout", self.config.seed, number, place, attempt) for place, _ in turns]
        answered = []
        for (place, sample), packed, rollouts in zip(
            turns, rows, self.source(rows, n, seeds, self.config.temperature, most), strict=True
        ):
            checks.check_rollouts(rollouts, n, most)
            rewards = [
                self.rewarder(sample, text, "stop" if stopped else "length", (number, place, at))
                for at, (text, stopped) in enumerate(zip(rollouts.texts, rollouts.stopped, strict=True))
            ]
            answered.append(Answered(sample, packed, rollouts, rewards))
        return answered

    def _pack(self, sample: Sample) -> Packed:
        decoded = self._decoded.pop(sample.id, None)
        packed = self.policy.pack(sample, decoded.result() if decoded else self.questions.videos(sample))
        checks.check_prompt(self.policy, packed)
        return packed

    def _decode_ahead(self, number: int) -> None:
        """Decode the frames of a batch while the model learns from the one before."""
        if number * self.config.steps_per_batch < self.config.max_steps:
            samples = {sample.id: sample for _, sample in self._turns(number)}
            self._decoded = {name: self._decoder.submit(self.questions.videos, one) for name, one in samples.items()}
