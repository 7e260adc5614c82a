"""Baseline scores of a task: chance, the best constant answer (blind), and trivial answers such as "always A".

Example:
    baselines = of(task, samples)
    baselines.chance, baselines.blind, baselines.trivial
    # (0.25, 0.306, {'whole video': 0.25})
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import evaluators
from evaluators import Evaluator, Scored
from evaluators.base import NotKnown
from viubench.schema import Sample, Task
from viubench.scoring.aggregate import headline, rounded, units_frame
from viubench.scoring.frame import scores_frame


@dataclass(frozen=True)
class Baselines:
    """Headline scores of answers that never see a video: the published random rule (None without one), the best
    constant answer (`statement` says what it is, `texts` has it by sample id), and each trivial answer. `scores` are
    the keys of the scores an answer gets."""

    chance: float | None
    blind: float | None
    statement: str
    scores: list[str]
    texts: dict[str, str] = field(default_factory=dict)
    trivial: dict[str, float] = field(default_factory=dict)


def of(task: Task, samples: Sequence[Sample]) -> Baselines:
    """The baseline scores of a task over these samples (at least one)."""
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    try:
        blind = evaluator.blind(samples)
    except NotKnown as error:
        return Baselines(None, None, str(error), _keys(evaluator, samples[0]))
    except NotImplementedError as error:
        return Baselines(None, None, str(error), [evaluator.metric])
    values: dict[tuple[str, ...], float] = {}  # the best constant answer is often one of the trivial ones

    def value(texts: Sequence[str]) -> float:
        key = tuple(texts)
        if key not in values:
            values[key] = _headline(evaluator, samples, key, task.average)
        return values[key]

    return Baselines(
        chance=_chance(evaluator, samples, task.average),
        blind=value(blind.texts),
        statement=blind.statement,
        scores=_keys(evaluator, samples[0]),
        texts={sample.id: text for sample, text in zip(samples, blind.texts, strict=True)},
        trivial={name: rounded(value(texts)) for name, texts in evaluator.trivial(samples).items()},
    )


def _keys(evaluator: Evaluator, sample: Sample) -> list[str]:
    """The keys of the scores an answer gets."""
    truth = evaluator.parse(sample.answer_text, sample)
    return sorted(evaluator.score(truth, sample)) if truth else [evaluator.metric]


def _headline(evaluator: Evaluator, samples: Sequence[Sample], texts: Sequence[str], average: str) -> float:
    answers = (evaluator.parse(text, sample) for sample, text in zip(samples, texts, strict=True))
    scores = (evaluator.score(answer, one) if answer else {} for one, answer in zip(samples, answers, strict=True))
    if type(evaluator).units is not Evaluator.units:
        rows = (Scored(scored, one.cluster, one.groups) for one, scored in zip(samples, scores, strict=True))
        return headline(units_frame(scores_frame(rows), evaluator), evaluator, average)
    values = np.fromiter((scored.get(evaluator.unit_metric, 0.0) for scored in scores), np.float64, len(samples))
    if not average:
        return float(np.mean(values))
    groups = [one.groups.get(average) for one in samples]
    columns = {"cluster": "", f"score.{evaluator.unit_metric}": values, f"group.{average}": groups}
    return headline(pd.DataFrame(columns), evaluator, average)


def _chance(evaluator: Evaluator, samples: Sequence[Sample], average: str) -> float | None:
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(str(sample.groups[average]) if average else "", []).append(sample)
    try:
        chances = [evaluator.chance_of([(s, s.cluster, s.groups) for s in group]) for group in groups.values()]
    except NotKnown:
        return None
    return sum(chances) / len(chances)
