"""Validation in the training loop: greedy answers to validation questions, scored by the evaluators.

Example:
    results = validate(policy, rewarder, questions, questions.validation(256), config, processes)
    results["tiny_ground"].reward, results["tiny_ground"].strict   # mean smooth score, share of exactly right answers
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model.policy import Policy
from trainer.processes import Processes
from trainer.rewards import AnswerGroup, Diagnostics, Rewarder, diagnose_tasks
from viubench.schema import Sample


def validate(
    policy: Policy,
    rewarder: Rewarder,
    questions: Questions,
    samples: Sequence[Sample],
    config: TrainConfig,
    processes: Processes,
) -> dict[str, Diagnostics]:
    """Diagnostics of each task over greedy answers to `samples`, of which each process answers its share.

    All processes answer equally many, some a question twice: with sharded weights each forward pass needs them all.
    """
    groups = []
    share, size = processes.share(samples), config.micro_batch_size
    share += samples[: -(-len(samples) // processes.size) - len(share)]
    for batch in (share[start : start + size] for start in range(0, len(share), size)):
        packed = policy.stack([policy.pack(sample, questions.videos(sample)) for sample in batch])
        rollouts = policy.rollout(packed, 1, [0] * len(batch), 0.0, config.max_completion_length)
        lengths = rollouts.mask.sum(1).tolist()
        for sample, text, stopped, length in zip(batch, rollouts.texts, rollouts.stopped, lengths, strict=True):
            groups.append(AnswerGroup(sample.task, [rewarder(sample, text, "stop" if stopped else "length")], [length]))
    return diagnose_tasks(processes.gather(groups[: len(processes.share(samples))]))
