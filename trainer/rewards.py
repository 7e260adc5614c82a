"""Rewards of answers, those of the evaluators, and diagnostics of a step: is the policy learning or collapsing?

Example:
    rewarder = Rewarder({"order": "smooth"}, {"order": evaluators.get("permutation")})
    rewarder(sample, "2134", "stop").value  # 0.75; the true order is 1234
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from evaluators import Evaluator
from trainer.config import TrainConfig
from viubench.pretext.rng import seed_of
from viubench.schema import Sample, canonical_json
from viubench.scoring.reward import FULL, Reward, reward

MIN_QUESTIONS = 64  # a collapse is judged over so many questions at least; fewer share answers by chance
TOP_SHARE = 0.2  # an answer to more than this share of them is a collapse: twice what grounding items have
SEARCHED = 200  # the best constant answer is searched among so many texts, on so many items

# The evaluator's reward; 1 for the true answer, else 0; independent of the answer, for control runs only.
Kind = Literal["smooth", "strict", "random"]


class Rewarder:
    """The rewards of a mixture of tasks; `seed` is that of random ones."""

    def __init__(self, kinds: Mapping[str, Kind], evaluators: Mapping[str, Evaluator], seed: int = 0) -> None:
        self.kinds, self.evaluators, self.seed = kinds, evaluators, seed

    def __call__(
        self, sample: Sample, text: str, finish_reason: str, turn: tuple[int, int, int] | None = None
    ) -> Reward:
        """The reward of one answer, of its task's kind; see `viubench.scoring.reward`. `turn` (step, index of the
        question in it, index of the answer) seeds a random reward, which without it (validation) is the smooth one."""
        found, kind = reward(text, finish_reason, sample, self.evaluators[sample.task]), self.kinds[sample.task]
        if kind == "random" and turn is not None:
            return replace(found, value=seed_of("reward", self.seed, *turn) / 2**63)
        return replace(found, value=found.strict) if kind == "strict" else found


def shaped(rewards: Sequence[Reward], lengths: Sequence[int], config: TrainConfig) -> list[float]:
    """The values to train on of answers of these lengths (tokens): less for long ones, where the configuration says so.
    Source: soft overlong punishment, DAPO (arXiv 2503.14476), equation 13; the length penalty is linear."""
    most, cache = config.max_completion_length, config.soft_punish_cache
    over = [max(0, length - (most - cache)) / cache if cache else 0.0 for length in lengths]
    return [
        reward.value - beyond - config.length_penalty * length / most
        for reward, beyond, length in zip(rewards, over, lengths, strict=True)
    ]


@dataclass(frozen=True)
class AnswerGroup:
    """The answers (at least one) to one question, of `lengths` in tokens; in a validation there is one, greedy."""

    task: str
    rewards: Sequence[Reward]
    lengths: Sequence[int]

    @property
    def varies(self) -> bool:
        """Whether two answers have different rewards; a group that does not vary gives no gradient."""
        return len({reward.value for reward in self.rewards}) > 1

    def majority_answer(self) -> str | None:
        """The most frequent answer, as JSON text (the first of equals); None where none was extracted."""
        return _top([canonical_json(reward.answer) if reward.parsed else None for reward in self.rewards])[0] or None


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of one step or validation. `reward`, `strict` and `length` (tokens) are means over the answers; the
    rest are shares: of `parsed` answers, of groups whose rewards are all equal, of different majority answers among all
    (`answers`), and of the questions that have the most frequent one (`top`)."""

    reward: float
    strict: float
    parsed: float
    zero_advantage: float
    distinct: float
    top: float
    length: float
    answers: tuple[str | None, ...]

    def numbers(self) -> dict[str, float]:
        """Every share and mean by its name, for a log."""
        return {name: value for name, value in vars(self).items() if name != "answers"}


def diagnose(groups: Sequence[AnswerGroup]) -> Diagnostics:
    """The diagnostics of these groups (at least one) of one task; `distinct` and `top` mean little over several."""
    rewards = [reward for group in groups for reward in group.rewards]
    answers = tuple(group.majority_answer() for group in groups)
    return Diagnostics(
        reward=fmean(reward.value for reward in rewards),
        strict=fmean(reward.strict for reward in rewards),
        parsed=fmean(reward.parsed for reward in rewards),
        zero_advantage=fmean(not group.varies for group in groups),
        distinct=_distinct(answers) / len(answers),
        top=_top(answers)[1] / len(answers),
        length=fmean(length for group in groups for length in group.lengths),
        answers=answers,
    )


def diagnose_tasks(groups: Iterable[AnswerGroup]) -> dict[str, Diagnostics]:
    """The diagnostics of each task among the groups, by name."""
    tasks: dict[str, list[AnswerGroup]] = {}
    for group in groups:
        tasks.setdefault(group.task, []).append(group)
    return {task: diagnose(tasks[task]) for task in sorted(tasks)}


@dataclass
class AnswerHistory:
    """The answers to one task, step after step: how many were `seen`, and the first and last `size` of them: 64, or
    those of the first step or validation where that has more."""

    size: int = 0
    seen: int = 0
    first: Sequence[str | None] = ()
    last: Sequence[str | None] = ()

    def add(self, answers: Sequence[str | None]) -> None:
        """Add the majority answers of a step or validation."""
        self.size = self.size or max(MIN_QUESTIONS, len(answers))
        self.seen += len(answers)
        self.first, self.last = [*self.first, *answers][: self.size], [*self.last, *answers][-self.size :]

    def collapse_reason(self, top_share: float = TOP_SHARE) -> str | None:
        """Why the answers have collapsed: a sentence, or None. One answer is given to more than `top_share` (in (0, 1),
        see `top_share_limit`) of the last questions, or these have at most half as many different answers as the first,
        of twice as many in all."""
        if not self.seen or self.seen < self.size:
            return None
        answer, often = _top(self.last)
        if often > top_share * self.size:
            share = f"{often / self.size:.0%} of the last {self.size} questions"
            return f"{answer} answers {share} (more than {top_share:.0%})"
        before, now = _distinct(self.first), _distinct(self.last)
        if self.seen >= 2 * self.size and before >= max(1, 2 * now):
            return f"different answers fell from {before} in the first {self.size} questions to {now} in the last"
        return None


def top_share_limit(samples: Sequence[Sample], evaluator: Evaluator) -> float:
    """The `top_share` of a collapse for these items (at least one) of one task: twice the share of the most frequent
    true answer, but half way to 1 where that is less, and never under the default."""
    parsed = [evaluator.parse(sample.answer_text, sample) for sample in samples]
    often = _top([None if answer is None else canonical_json(answer.value) for answer in parsed])[1] / len(samples)
    return max(TOP_SHARE, min(2 * often, (1 + often) / 2))


def _distinct(answers: Sequence[str | None]) -> int:
    return len(set(answers) - {None})


def _top(answers: Sequence[str | None]) -> tuple[str, int]:
    """The most frequent answer and how often it is given; ("", 0) where none was extracted."""
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0] if counts else ("", 0)


def best_constant(samples: Sequence[Sample], evaluator: Evaluator, kind: Kind = "smooth") -> str:
    """The best answer that is the same for every item (at least one): what a policy that ignores the video can earn.
    Candidates are the most frequent true answers and the blind answers of the evaluator, `SEARCHED` at most, compared
    on as many items; the reward of kind `random` is the smooth one."""
    texts = [sample.answer_text for sample in samples]
    with suppress(NotImplementedError):  # an evaluator may have none; the true answers remain
        texts += evaluator.blind(samples).texts
    subset = samples[:: -(-len(samples) // SEARCHED)]
    candidates = [text for text, _ in Counter(texts).most_common(SEARCHED)]
    return max(candidates, key=lambda text: constant_reward(text, subset, evaluator, kind))


def constant_reward(text: str, samples: Sequence[Sample], evaluator: Evaluator, kind: Kind = "smooth") -> float:
    """Mean reward, in [0, 1], of `text` as the answer to every one of these items (at least one)."""
    rewards = [evaluator.reward(evaluator.parse(text, sample), sample) for sample in samples]
    return fmean(reward >= FULL for reward in rewards) if kind == "strict" else fmean(rewards)
