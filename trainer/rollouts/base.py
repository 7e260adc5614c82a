"""Sources of rollouts: the policy itself, or a faster engine that is kept in sync with its weights.

Example:
    source.sync_weights()
    rollouts = source([packed, other], 8, seeds=[3, 4], temperature=1.0, max_tokens=32)   # one of each question
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trainer.config import TrainConfig
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rollouts.vllm import VllmRollouts


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


def rollout_source(config: TrainConfig, policy: Policy) -> RolloutSource:
    """The source that the configuration names under `rollout`; the caller closes it."""
    if config.rollout.engine == "policy":
        return PolicyRollouts(policy, config.micro_batch_size)
    return VllmRollouts(policy, config.rollout.engine_args, config.max_logprob_gap)
