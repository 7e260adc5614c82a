"""A look at how well the policy answers: greedy answers to validation questions, graded by the evaluators.

Example:
    found = look(policy, rewarder, questions, questions.validation(256), config)
    found["tiny_ground"].reward, found["tiny_ground"].strict   # mean smooth score, share of fully right answers

Cheap, for the loop itself; `trainer.harness_eval` runs the harness on a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.distributed import Ranks
from trainer.model.policy import Policy
from trainer.rewards import Answered, Diagnostics, Reward, Rewarder, diagnose_tasks
from viubench.schema import Sample


def look(
    policy: Policy, rewarder: Rewarder, questions: Questions, samples: Sequence[Sample], config: TrainConfig
) -> dict[str, Diagnostics]:
    """Diagnostics of each task over greedy answers to `samples`, `config.micro_batch` at a time."""
    return diagnose_tasks(answers(policy, rewarder, questions, samples, config))


def answers(
    policy: Policy, rewarder: Rewarder, questions: Questions, samples: Sequence[Sample], config: TrainConfig
) -> list[Answered]:
    """One greedy answer to each of `samples`, in their order, with its reward; each process answers its part."""
    own, found = policy.ranks.own(samples), []
    policy.ready()
    with policy.ranks.agree():
        for start in range(0, len(own), config.micro_batch):
            part = own[start : start + config.micro_batch]
            packed = policy.stack([policy.pack(sample, questions.videos(sample)) for sample in part])
            rollouts = policy.rollout(packed, 1, [0] * len(part), 0.0, config.max_tokens)
            lengths = rollouts.mask.sum(1).tolist()
            for sample, text, stopped, length in zip(part, rollouts.texts, rollouts.stopped, lengths, strict=True):
                reward = rewarder(sample, text, "stop" if stopped else "length")
                found.append(Answered(sample.task, [reward], [length]))
    return pooled(policy.ranks, found)


def pooled(ranks: Ranks, answered: Sequence[Answered]) -> list[Answered]:
    """What all processes' questions were answered, in the order of the whole batch."""
    if ranks.size == 1:
        return list(answered)
    return [
        Answered(one["task"], [Reward(**reward) for reward in one["rewards"]], one["lengths"])
        for part in ranks.gather([asdict(one) for one in answered])
        for one in part
    ]
