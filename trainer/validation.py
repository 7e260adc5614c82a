"""Validation in the training loop: greedy answers to validation questions, scored by the evaluators.

Example:
    results = validate(policy, rewarder, questions, questions.validation(256), config)
    results["tiny_ground"].reward, results["tiny_ground"].strict   # mean smooth score, share of exactly right answers
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.distributed import ProcessGroup
from trainer.model import fsdp
from trainer.model.policy import Policy
from trainer.rewards import AnswerGroup, Diagnostics, Reward, Rewarder, diagnose_tasks
from viubench.schema import Sample


def validate(
    policy: Policy, rewarder: Rewarder, questions: Questions, samples: Sequence[Sample], config: TrainConfig
) -> dict[str, Diagnostics]:
    """Diagnostics of each task over greedy answers to `samples`, of which each process answers its share."""
    groups = []
    fsdp.unshard(policy.model)
    with policy.processes.raise_together():
        for batch in policy.processes.micro_batches(samples, config.micro_batch_size):
            packed = policy.stack([policy.pack(sample, questions.videos(sample)) for sample in batch])
            rollouts = policy.rollout(packed, 1, [0] * len(batch), 0.0, config.max_completion_length)
            lengths = rollouts.mask.sum(1).tolist()
            for sample, text, stopped, length in zip(batch, rollouts.texts, rollouts.stopped, lengths, strict=True):
                reward = rewarder(sample, text, "stop" if stopped else "length")
                groups.append(AnswerGroup(sample.task, [reward], [length]))
    return diagnose_tasks(gather_answers(policy.processes, groups))


def gather_answers(processes: ProcessGroup, groups: Sequence[AnswerGroup]) -> list[AnswerGroup]:
    """The answers of all processes, in the order of the whole batch."""
    if processes.size == 1:
        return list(groups)
    return [
        AnswerGroup(one["task"], [Reward(**reward) for reward in one["rewards"]], one["lengths"])
        for part in processes.gather([asdict(one) for one in groups])
        for one in part
    ]
