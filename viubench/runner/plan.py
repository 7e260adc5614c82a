"""What a run will do, before it starts: every sample, how it is shown and scored, and its blind answers.

Example:
    len(plan.samples)  # 90
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluators import Constraint, Evaluator
from evaluators.published import Rule
from viubench.schema import Protocol, Sample, Shard, Suite, Task, TaskEntry, content_hash


@dataclass(frozen=True, slots=True)
class Attempt:
    """One of the answers that a question gets: the one of this `number`, counted from 0."""

    sample: Sample
    number: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What it is known by in a run (see `Record.key`)."""
        return self.sample.id, self.number


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
        seed: of the run.
        shard: which part of the run this is, where it is one: then `samples` are those of the part alone.
        left_out: tasks that the run's probe does not apply to, each with the reason.
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
    seed: int = 0
    shard: Shard | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        """How many answers the run will have: each question as many as its protocol says."""
        return sum(self.protocols[sample.task].decoding.samples for sample in self.samples)

    def attempts(self, sample: Sample) -> list[Attempt]:
        """All answers that a question gets."""
        return [Attempt(sample, number) for number in range(self.protocols[sample.task].decoding.samples)]

    def seed_of(self, attempt: Attempt) -> int:
        """The seed of one answer's sampling, 31 bits: the same for the same seed, question and number."""
        own = self.protocols[attempt.sample.task].decoding.seed
        return int(content_hash([self.seed if own is None else own, *attempt.key])[:8], 16) >> 1

    def constraint_of(self, sample: Sample) -> Constraint | None:
        """The form that an answer to the question is held to; None where it is free."""
        free = self.protocols[sample.task].answers == "free"
        return None if free else self.evaluators[sample.task].constraint(sample)
