"""Sources of rollouts: the policy itself, or a faster engine that is kept in sync with its weights.

Example:
    source.sync()
    rollouts = source(policy.stack(rows), 8, seeds=[3, 4], temperature=1.0, max_tokens=32)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trainer.config import TrainConfig
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rollouts.vllm import VllmRollouts


class RolloutSource(Protocol):
    """Samples answers with the policy's weights of the last `sync`."""

    def sync(self) -> None:
        """Load the policy's present weights; called before each step."""
        return

    def __call__(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        """`n` answers to each of the B questions, question by question; see `Policy.rollout`.

        `seeds` are one for each question, in [0, 2^63), and the only randomness of its answers; `temperature` is above
        0, and that of the log-probabilities, over the whole vocabulary. Raises ViubenchError when the source failed.
        """
        ...

    def sleep(self) -> None:
        """Free the device for the update, until the next `sync`."""
        return

    def close(self) -> None:
        """Free its resources; safe to call twice."""
        return


class PolicyRollouts(RolloutSource):
    """The policy samples itself; there is nothing to sync or to free."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __call__(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        return self.policy.rollout(packed, n, seeds, temperature, max_tokens)


def rollout_source(config: TrainConfig, policy: Policy) -> RolloutSource:
    """The source that the configuration names under `rollout`; the caller closes it."""
    if config.rollout.engine == "policy":
        return PolicyRollouts(policy)
    return VllmRollouts(policy, config.rollout.engine_args, config.max_logprob_gap)
