"""Where the answers of a training step come from: the policy itself, or a faster engine that follows its weights.

Example:
    source = PolicyRollouts(policy)
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
    """Samples answers under the policy's weights of its last `sync`."""

    def sync(self) -> None:
        """Take over the policy's weights as they are now; the loop calls it before each step."""

    def __call__(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        """`n` answers to each of the B questions, question by question; see `Policy.rollout`.

        Args:
            packed: the prompts; the answers are to exactly these token ids and frames.
            seeds: one for each question, in [0, 2^63); its answers depend on nothing else that is random.
            temperature: above 0; log-probabilities are those at this temperature, of the whole vocabulary.
            max_tokens: longest answer.

        Raises:
            ViubenchError: the source cannot answer.
        """
        ...

    def rest(self) -> None:
        """The step's answers are all there: leave the device to the update until the next `sync`."""

    def close(self) -> None:
        """Free what it holds; safe to call twice."""


class PolicyRollouts:
    """The policy samples for itself: nothing to keep in step, and log-probabilities equal to the trainer's."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def sync(self) -> None:
        """Nothing to do: the weights are the policy's own."""

    def __call__(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        return self.policy.rollout(packed, n, seeds, temperature, max_tokens)

    def rest(self) -> None:
        """Nothing to do: there is no engine beside the policy."""

    def close(self) -> None:
        """Nothing to free."""


def rollout_source(config: TrainConfig, policy: Policy) -> RolloutSource:
    """What the configuration asks for under `rollout`, to be closed in the end. Raises ViubenchError, as it does."""
    if config.rollout.engine == "policy":
        return PolicyRollouts(policy)
    return VllmRollouts(policy, config.rollout.engine_args, config.max_gap)
