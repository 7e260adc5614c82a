"""What a run will do, before it starts: every sample, how it is shown and scored, and its blind answers.

Example:
    len(plan.samples)  # 90
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluators import Evaluator
from evaluators.published import Rule
from viubench.schema import Protocol, Sample, Suite, Task, TaskEntry


@dataclass(frozen=True)
class Plan:
    """Everything a run is to do; what belongs to a task is by its name.

    Attributes:
        samples: every sample of every task; the denominator.
        roots: the folder below which a task's videos lie.
        rules: the published rules of each task that are applied to each response beside the evaluator.
        suites: those that the run covers whole.
        blind_answers: by sample id, the task's best constant answer, where one is known.
        entries: what the manifest holds of each task.
        notes: what a user should know before the run, one sentence each.
    """

    samples: Sequence[Sample]
    protocols: Mapping[str, Protocol]
    evaluators: Mapping[str, Evaluator]
    roots: Mapping[str, Path] = field(default_factory=dict)
    rules: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    suites: tuple[Suite, ...] = ()
    blind_answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    entries: Mapping[str, TaskEntry] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
