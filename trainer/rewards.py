"""From answers to rewards, and from rewards to what a step says about the policy: is it learning or collapsing?

Example:
    >>> rewarder = Rewarder({"order": "smooth"}, {"order": evaluators.get("permutation")})
    >>> rewarder(sample, "2134", "stop")  # the true order is 1234
    Reward(value=0.75, strict=0.0, parsed=True, answer=[2, 1, 3, 4])

The rewards are the evaluators' own, so what is trained is what is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from evaluators import Evaluator
from viubench.errors import ViubenchError
from viubench.pretext.rng import seed_of
from viubench.schema import Sample, canonical_json
from viubench.scoring.grade import grade

FULL = 1 - 1e-9
"""A reward from here on is that of the true answer; an IoU of equal intervals may be a rounding error below 1."""

LEAST_QUESTIONS = 64
"""Questions the collapse alarm wants to see before it judges; fewer share answers by accident."""

TOP_SHARE = 0.2
"""An answer given to more than this share of the questions raises the alarm: twice the honest share of grounding."""

CANDIDATES = 200
SEARCHED = 200
"""The search for the best constant answer tries this many texts on this many items."""


Kind = Literal["smooth", "strict", "random"]
"""`smooth`: the evaluator's reward, near counts; `strict`: 1 for the true answer, else 0; `random`: a number that has
nothing to do with the answer, for control runs only."""


@dataclass(frozen=True)
class Reward:
    """What one answer earns.

    Attributes:
        value: the reward to train on, in [0, 1].
        strict: 1.0 for the true answer, else 0.0, whatever kind `value` is.
        parsed: whether an answer was read; not where the token limit cut it.
        answer: the answer as JSON data, None where none was read.
    """

    value: float
    strict: float
    parsed: bool
    answer: Any


class Rewarder:
    """The rewards of a mixture of tasks.

    Args:
        kinds: task name -> which reward is trained on.
        evaluators: task name -> its evaluator, for every task in `kinds`.
        seed: of random rewards.
    """

    def __init__(self, kinds: Mapping[str, Kind], evaluators: Mapping[str, Evaluator], seed: int = 0) -> None:
        self.kinds = dict(kinds)
        self.evaluators = {task: evaluators[task] for task in kinds}
        self.seed = seed

    def __call__(
        self, sample: Sample, text: str, finish_reason: str, turn: tuple[int, int, int] | None = None
    ) -> Reward:
        """The reward of one answer; 0 where none can be read and where the token limit cut it.

        Args:
            sample: the question.
            text: the answer as decoded.
            finish_reason: `stop` where the model ended the answer, `length` where the token limit did.
            turn: step, place of the question in it, number of the answer: what a random reward follows from. Without
                it, outside training steps, the smooth reward stands in for the random one.

        Raises:
            ViubenchError: a task without a reward, or a reward that is no number in [0, 1].
        """
        if sample.task not in self.evaluators:
            raise ViubenchError(
                f"no reward is configured for task {sample.task!r}",
                where=sample.id,
                hint=f"name it under tasks: in the training config (there are: {', '.join(sorted(self.kinds))})",
            )
        evaluator = self.evaluators[sample.task]
        answer = grade(text, finish_reason, sample, evaluator).answer
        smooth = evaluator.reward(answer, sample)
        if not 0 <= smooth <= 1:  # NaN fails it too
            raise ViubenchError(
                f"the reward of task {sample.task!r} for sample {sample.id!r} is {smooth}, not a number in [0, 1]",
                where=f"evaluator {evaluator.name}, answer {text[:80]!r}",
                hint="check the sample's target, or mend the evaluator's reward()",
            )
        strict = float(smooth >= FULL)
        value = strict if self.kinds[sample.task] == "strict" else smooth
        if self.kinds[sample.task] == "random" and turn is not None:
            value = seed_of("reward", self.seed, *turn) / 2**63
        return Reward(value, strict, answer is not None, None if answer is None else answer.value)


# --- what a step shows ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """The answers to one question: a training step has several each, a greedy look one each.

    Attributes:
        task: the question's task.
        rewards: one per answer, at least one.
        lengths: tokens of each answer.
    """

    task: str
    rewards: Sequence[Reward]
    lengths: Sequence[int]

    def main_answer(self) -> str | None:
        """The answer given most often, as JSON text (the first of equals); None where none was read."""
        tally = Counter(canonical_json(reward.answer) for reward in self.rewards if reward.parsed)
        return max(tally, key=tally.__getitem__) if tally else None


@dataclass(frozen=True)
class Diagnostics:
    """What the groups of one step or look show. Shares, rates and rewards are in [0, 1].

    A question counts once for `distinct` and `top`, with its main answer: rollouts that agree on one question are
    the aim of training, questions that share one answer are its collapse.

    Attributes:
        reward: mean of the rewards trained on.
        strict: mean of the strict rewards.
        parsed: share of answers that could be read.
        zero_advantage: share of groups whose rewards are all equal, which teach nothing.
        distinct: different main answers per question.
        top: share of the questions that have the most frequent main answer.
        length: mean tokens of an answer.
        answers: the main answer of each question, None where none was read.
    """

    reward: float
    strict: float
    parsed: float
    zero_advantage: float
    distinct: float
    top: float
    length: float
    answers: tuple[str | None, ...]

    def numbers(self) -> dict[str, float]:
        """Every share, rate and mean by its name, for a log."""
        return {name: value for name, value in vars(self).items() if name != "answers"}


def diagnose(groups: Sequence[Answered]) -> Diagnostics:
    """The diagnostics of these groups (at least one); of one task, `distinct` and `top` mean little over several."""
    rewards = [reward for group in groups for reward in group.rewards]
    answers = tuple(group.main_answer() for group in groups)
    return Diagnostics(
        reward=fmean(reward.value for reward in rewards),
        strict=fmean(reward.strict for reward in rewards),
        parsed=fmean(reward.parsed for reward in rewards),
        zero_advantage=fmean(len({reward.value for reward in group.rewards}) == 1 for group in groups),
        distinct=_distinct(answers) / len(answers),
        top=_top(answers)[1] / len(answers),
        length=fmean(length for group in groups for length in group.lengths),
        answers=answers,
    )


def diagnose_tasks(groups: Iterable[Answered]) -> dict[str, Diagnostics]:
    """The diagnostics of each task among the groups, by name: a mean over tasks hides the one that collapsed."""
    tasks: dict[str, list[Answered]] = {}
    for group in groups:
        tasks.setdefault(group.task, []).append(group)
    return {task: diagnose(tasks[task]) for task in sorted(tasks)}


def alarm(history: Sequence[Diagnostics], *, top_share: float = TOP_SHARE) -> str | None:
    """Why one task looks collapsed: a sentence, or None.

    Either one answer is given to more than `top_share` of the latest questions, or these have at most half as many
    different answers as the same number of first questions. Judged over at least 64 questions, or a whole look where
    that is more; with fewer seen there is no alarm, and the second rule needs twice as many.

    Args:
        history: the task's diagnostics, oldest first.
        top_share: in (0, 1); about twice the share of the most frequent true answer. The default suits tasks whose
            most frequent true answer is rare, not a choice among a few letters.
    """
    answers = [answer for look in history for answer in look.answers]
    size = max(LEAST_QUESTIONS, *(len(look.answers) for look in history)) if history else LEAST_QUESTIONS
    if len(answers) < size:
        return None
    first, last = answers[:size], answers[-size:]
    answer, often = _top(last)
    if often > top_share * size:
        return f"{answer} answers {often / size:.0%} of the last {size} questions (more than {top_share:.0%})"
    if len(answers) >= 2 * size and _distinct(first) >= max(1, 2 * _distinct(last)):
        return (
            f"different answers fell from {_distinct(first)} in the first {size} questions "
            f"to {_distinct(last)} in the last"
        )
    return None


def ends(history: Sequence[Diagnostics]) -> list[Diagnostics]:
    """What of a task's history `alarm` ever reads, so that a long run need not keep more: its two ends.

    Nothing that matters is lost where no step has more than 64 questions of the task, or all have equally many.
    """
    if not history:
        return []
    size = max(LEAST_QUESTIONS, *(len(look.answers) for look in history))

    def reach(looks: Iterable[Diagnostics]) -> int:
        """How many of `looks` hold `size` answers."""
        seen = 0
        for number, look in enumerate(looks, start=1):
            seen += len(look.answers)
            if seen >= size:
                return number
        return len(history)

    first, last = reach(history), reach(reversed(history))
    return [*history[:first], *history[max(first, len(history) - last) :]]


def honest_top(samples: Sequence[Sample], evaluator: Evaluator) -> float:
    """The `top_share` of `alarm` that suits these items of one task (at least one).

    Twice the share of the most frequent true answer, but half way to 1 where that is less, and never under the default.
    """
    parsed = [evaluator.parse(sample.answer_text, sample) for sample in samples]
    often = _top([None if answer is None else canonical_json(answer.value) for answer in parsed])[1] / len(samples)
    return max(TOP_SHARE, min(2 * often, (1 + often) / 2))


def _distinct(answers: Sequence[str | None]) -> int:
    return len(set(answers) - {None})


def _top(answers: Sequence[str | None]) -> tuple[str, int]:
    """The most frequent answer and how often it is given; ("", 0) where none was read."""
    tally = Counter(answer for answer in answers if answer is not None)
    return tally.most_common(1)[0] if tally else ("", 0)


# --- the floor ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConstantFloor:
    """The best constant answer and its mean reward over the items it was chosen on."""

    text: str
    reward: float


def constant_floor(samples: Sequence[Sample], evaluator: Evaluator, kind: Kind = "smooth") -> ConstantFloor:
    """The best of the answers that are the same for every item: what a policy earns that never looks.

    Tried are the true answers of the items and the evaluator's blind answers, at most 200, the most frequent first,
    on at most 200 items spread over all; the best is then scored on all. Choose it on training items and score it on
    held-out ones with `constant_reward`.

    Args:
        samples: items of one task, at least one.
        evaluator: the task's.
        kind: whose reward; that of `random` is the smooth one.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("the constant floor of a task without items")
    texts = [sample.answer_text for sample in samples]
    with suppress(NotImplementedError):  # an evaluator may know none; the true answers remain
        texts += evaluator.blind(samples).texts
    spread = samples[:: -(-len(samples) // SEARCHED)]
    candidates = [text for text, _ in Counter(texts).most_common(CANDIDATES)]
    best = max(candidates, key=lambda text: constant_reward(text, spread, evaluator, kind))
    return ConstantFloor(best, constant_reward(best, samples, evaluator, kind))


def constant_reward(text: str, samples: Sequence[Sample], evaluator: Evaluator, kind: Kind = "smooth") -> float:
    """Mean reward, in [0, 1], of giving `text` as the answer to every one of these items (at least one)."""
    earned = [evaluator.reward(evaluator.parse(text, sample), sample) for sample in samples]
    return fmean(reward >= FULL for reward in earned) if kind == "strict" else fmean(earned)
