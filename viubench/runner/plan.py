"""What a run will do, before it starts: every sample, how it is shown and scored, and its blind answers.

Example:
    plan = make_plan(EvalConfig(tasks=("viubench-mini",), videos=Path("clips")), out, cache)
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
    """Everything a run is to do.

    Attributes:
        samples: every sample of every task; the denominator.
        protocols, evaluators: of each task, resolved.
        roots: the folder below which a task's videos lie.
        rules: the published rules of each task that are applied to each response beside the evaluator.
        tasks: the definitions, by name.
        suites: those that the run covers whole.
        blind_answers: task -> sample id -> the task's best constant answer to it, where one is known.
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
