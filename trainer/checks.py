"""Checks that stop a training which has silently gone wrong; each is cheap and names the cause.

Example:
    check_video_used(policy, questions, config)   # another video changes the log-probabilities of the answers
    check_prompt(policy, packed)                  # the prompt has the frames' true times and visual tokens
    check_logprob_gap(gaps, packed, limit)        # the rollouts come from the policy that is trained
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from trainer import rewards
from trainer.config import TrainConfig
from trainer.dataset import Questions, of_task
from trainer.model.packing import Packed
from trainer.model.policy import Policy
from trainer.rewards import AnswerHistory, Diagnostics
from viubench.engines import sight
from viubench.errors import ViubenchError

MIN_VIDEO_EFFECT = 1e-4  # nats by which another video must change some log-probability


def check_video_used(policy: Policy, questions: Questions, config: TrainConfig) -> None:
    """Raises ViubenchError when no answer's log-probability to the first questions changes with inverted frames."""
    samples = questions.batch(0)[: config.micro_batch_size]
    pairs = [(sample, questions.videos(sample)) for sample in samples]
    packed = policy.stack([policy.pack(*pair) for pair in pairs])
    inverted = policy.stack([policy.pack(sample, list(map(sight.negative, videos))) for sample, videos in pairs])
    rollouts = policy.rollout(packed, 2, [config.seed] * len(samples), config.temperature, config.max_completion_length)
    own, its = (policy.logprobs(one, rollouts.tokens, rollouts.mask, 1.0)[0] for one in (packed, inverted))
    effect = float((own - its).abs().max())
    if not effect >= MIN_VIDEO_EFFECT:  # NaN too
        said = f"another video changes no log-probability by more than {effect:.1e}: the model does not see its video"
        hint = "check the checkpoint's processor: the frames must reach the vision tower"
        raise ViubenchError(said, where=str(policy.path), hint=hint)


def check_prompt(policy: Policy, packed: Packed) -> None:
    """Raises ViubenchError, naming the item, for a prompt (one row) without its frames' true times or visual tokens: a
    processor without metadata assumes 24 frames a second, or resizes the frames once more."""
    (sample,), (videos,), inputs = packed.samples, packed.videos, packed.inputs
    ids = inputs["input_ids"][0].tolist()
    read = [token for token in ids if token not in policy.barred]
    text = policy.processor.tokenizer.decode(read, clean_up_tokenization_spaces=False)
    spacing = tuple(map(float, inputs.get("second_per_grid_ts", ())))
    try:
        policy.prover.prompt(sight.Processed(text, len(ids) - len(read), (), spacing), videos)
    except ViubenchError as error:
        raise ViubenchError(error.message, where=f"item {sample.id}", hint=error.hint) from None


def gaps(difference: Tensor, mask: Tensor, questions: int) -> tuple[Tensor, float]:
    """Of a difference in nats, float [B * n, L], float [B]: the mean absolute one over the answer tokens (`mask`) of
    each of B `questions`, and the largest of all; 0 where no token counts."""
    difference = difference.abs().masked_fill(~mask, 0.0)
    tokens = mask.view(questions, -1).sum(1).clamp(min=1)
    return difference.view(questions, -1).sum(1) / tokens, float(difference.max())


def check_logprob_gap(gap: Tensor, packed: Packed, limit: float) -> None:
    """Raises ViubenchError for a question whose mean gap (float [B], see `gaps`) is above `limit` nats."""
    worst = int(gap.nan_to_num(math.inf).argmax())
    if not float(gap[worst]) <= limit:  # NaN too
        said = f"the rollout's log-probabilities are {float(gap[worst]):.3g} nats off the trainer's on average, above"
        said += f" {limit:g}: another prompt, other pixels or old weights"
        hint = "check the rollout source; checks.max_logprob_gap is the limit"
        raise ViubenchError(said, where=f"item {packed.samples[worst].id}", hint=hint)


def constant_baselines(questions: Questions, config: TrainConfig) -> dict[str, float]:
    """Task -> the reward of the best constant answer, chosen on the training items, on the validation items (on those
    it was chosen on where there are none)."""
    baselines = {}
    for task, evaluator in questions.evaluators.items():
        kind, train = config.tasks[task].reward, of_task(task, questions.train.samples)
        items = of_task(task, questions.held_out.samples) or train
        baselines[task] = rewards.constant_reward(rewards.best_constant(train, evaluator, kind), items, evaluator, kind)
    return baselines


class Patience:
    """Ends a run that cannot learn: no answer read, or no group with two rewards (else there is no gradient), in
    `steps` steps in a row (0: never)."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._unread = self._equal = 0

    def update(self, whole: Diagnostics) -> None:
        """Count a step's diagnostics over all tasks. Raises ViubenchError when the patience is over."""
        self._unread = self._unread + 1 if whole.parsed == 0 else 0
        self._equal = self._equal + 1 if whole.zero_advantage == 1 else 0
        if not self.steps or max(self._unread, self._equal) < self.steps:
            return
        what = f"no answer of the last {self.steps} steps could be read"
        hint = "look at OUT/answers; a model that does not answer in the asked form needs a warm start, one that is cut"
        hint += " a longer max_completion_length"
        if self._unread < self.steps:
            what = f"in the last {self.steps} steps all answers to a question had the same reward"
            hint = "take easier or harder items, smooth rewards, a higher temperature or more num_generations"
        raise ViubenchError(f"{what}, so nothing is learned", where="checks.patience", hint=hint)


class CollapseMonitor:
    """Detects a collapse of a task's answers; `limits` are the `top_share` of `AnswerHistory.collapse_reason`."""

    def __init__(self, limits: Mapping[str, float], *, stop: bool, warn: Callable[[str], None]) -> None:
        self.limits, self.stop, self._warn = limits, stop, warn
        self._history: dict[str, AnswerHistory] = {}
        self._warned: set[str] = set()

    def update(self, kind: str, results: Mapping[str, Diagnostics]) -> dict[str, str]:
        """Add the diagnostics of a step or a validation (`kind`); returns `alarm/TASK` -> why it looks collapsed."""
        alarms = {}
        for task, one in results.items():
            history = self._history.setdefault(f"{kind}/{task}", AnswerHistory())
            history.add(one.answers)
            if (why := history.collapse_reason(self.limits[task])) is not None:
                alarms[f"alarm/{task}"] = f"{kind}: {why}"
        return alarms

    def report(self, alarms: Mapping[str, str]) -> None:
        """Warn once a task; raises ViubenchError where the configuration asks for a stop."""
        for name, why in alarms.items():
            said = f"the answers to {name.removeprefix('alarm/')} have collapsed: {why}"
            if self.stop:
                hint = "lower learning_rate, raise beta or improve the warm start; on_collapse: warn continues"
                raise ViubenchError(said, where="checks.on_collapse", hint=hint)
            if name not in self._warned:
                self._warn(f"warning: {said}")
            self._warned.add(name)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON."""
        return {key: dict(vars(seen)) for key, seen in self._history.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` returned."""
        self._history = {key: AnswerHistory(**seen) for key, seen in state.items()}
