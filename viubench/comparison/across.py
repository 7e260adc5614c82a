"""Runs of the same items under several settings (frames, pixels, prompts), compared item by item.

Example:
    report = across([Path("runs/frames=8"), Path("runs/frames=16"), Path("runs/frames=32")])
    report.conclusion
    # 'frames 16 is enough: no other setting is better by more than 2 points'

The items must be the same, the protocols need not be, and what differs is named. All differences are paired and
clustered by source video (`viubench.stats.paired_differences`); those to the first run, to the best one and from each
setting to the next are three families of tests, each corrected by Holm over the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from viubench.comparison.pair import (
    Incomparable,
    Measured,
    Side,
    check_items,
    check_whole,
    identity,
    measured,
    refuse_twice,
)
from viubench.comparison.report import ALPHA, LEVEL, change
from viubench.comparison.settings import Settings, settings
from viubench.schema import Record, utf8
from viubench.schema.across import AcrossReport, Setting, SettingChange, Spent, TaskAtSetting
from viubench.schema.gate import MAX_ERRORS
from viubench.scoring.aggregate import rounded
from viubench.stats.estimates import Part
from viubench.stats.paired_differences import holm, paired, short_p
from viubench.stats.plateau import Plateau, plateau
from viubench.version import __version__

MARGIN = 0.02
"""A loss that does not matter, unless another is named: two points, as in the gate."""


def across(
    paths: Sequence[Path], *, margin: float = MARGIN, common: bool = False, max_errors: float = MAX_ERRORS
) -> AcrossReport:
    """How runs of the same items under several settings differ.

    Args:
        margin: a loss that does not matter, as a fraction in (0, 1).
        common: compare the tasks that all runs have, and leave out the others instead of refusing.
        max_errors: share of a task's samples that may be media or engine errors.

    Raises:
        Incomparable: fewer than two runs, an unfinished one, too many errors, other items, definitions or tasks.
        ViubenchError: not a run folder, or a damaged one.
    """
    if len(paths) < 2:
        raise Incomparable("one run alone cannot be compared", hint="name two runs or more")
    refuse_twice(paths)
    sides = [Side.read(path) for path in paths]
    tasks, left_out = _shared(sides, common)
    for side in sides:
        for task in tasks:
            check_whole(side, task, max_errors)
            _check_answers(sides[0], side, task)
            check_items(sides[0], side, task)
    return _Runs(sides, tasks, margin).report(left_out)


def _shared(sides: Sequence[Side], common: bool) -> tuple[list[str], dict[str, str]]:
    """The tasks to compare, and why the others are left out."""
    left_out: dict[str, str] = {}
    for task in sorted({task for side in sides for task in side.results.tasks}):
        missing = [side.path for side in sides if task not in side.results.tasks]
        if missing and not common:
            hint = "compare runs of the same tasks, or leave out what some have not: --common"
            raise Incomparable(f"{task!r:.80} is not in {missing[0]}", hint=hint)
        if missing:
            left_out[task] = f"not in {utf8(missing[0])}"
        elif any(side.results.tasks[task].needs_judge for side in sides):
            left_out[task] = "a judge alone scores it"
    tasks = [task for task in sorted(sides[0].results.tasks) if task not in left_out]
    if not tasks:
        raise Incomparable("the runs have no task in common that can be compared")
    return tasks, left_out


def _check_answers(a: Side, b: Side, task: str) -> None:
    one, two = (side.manifest.protocols[task].decoding.samples for side in (a, b))
    if one != two:
        raise Incomparable(
            f"{task!r:.80} has {one} answers to a question in {a.path}, {two} in {b.path}",
            hint="ask for the same number: --samples",
        )


@dataclass(frozen=True)
class _Runs:
    """The runs as they were named, and what is computed of them once."""

    sides: Sequence[Side]
    tasks: Sequence[str]
    margin: float

    @cached_property
    def measured(self) -> list[dict[str, Measured]]:
        return [{task: measured(side, task) for task in self.tasks} for side in self.sides]

    @cached_property
    def parts(self) -> list[list[Part]]:
        """Of each run what the mean over its tasks is made of."""
        n = len(self.tasks)
        return [[(w / n, s, c) for task in self.tasks for w, s, c in own[task].parts] for own in self.measured]

    @cached_property
    def values(self) -> list[float]:
        return [sum(own[task].value for task in self.tasks) / len(self.tasks) for own in self.measured]

    @cached_property
    def settings(self) -> Settings:
        return settings(self.sides, self.tasks)

    @cached_property
    def spent(self) -> list[Spent]:
        return [_spent(record for task in self.tasks for record in own[task].records) for own in self.measured]

    @cached_property
    def budget(self) -> tuple[str, list[float]]:
        """What the size of a setting is counted by, and how large each is; their order where nothing can be counted."""
        if (name := self.settings.numeric) is not None:
            return name, [float(own[name]) for own in self.settings.values]
        for name, said in (("prompt_tokens", "prompt tokens"), ("pixels", "pixels")):
            known = [getattr(spent, name) for spent in self.spent]
            if None not in known and len(set(known)) > 1:
                return said, known
        return "the order named", [float(place) for place in range(len(self.sides))]

    @cached_property
    def order(self) -> list[int]:
        """The runs from the smallest setting to the largest."""
        return sorted(range(len(self.sides)), key=lambda run: self.budget[1][run])

    def report(self, left_out: Mapping[str, str]) -> AcrossReport:
        best = max(self.order, key=lambda run: self.values[run])
        steps = dict(zip(self.order[1:], self.order, strict=False))
        firsts = self.changes({run: 0 for run in self.order if run != 0})
        bests = self.changes({run: best for run in self.order if run != best})
        step = self.changes(steps)
        by_task, enough_of = self.by_task()
        found = plateau([self.parts[run] for run in self.order], self.margin, ALPHA)
        made = [
            Setting(
                run=identity(self.sides[run].path),
                label=self.settings.labels[run],
                values=dict(self.settings.values[run]),
                value=rounded(self.values[run]),
                spent=self.spent[run],
                first=firsts.get(run),
                best=bests.get(run),
                step=step.get(run),
                same_frames=self.same_frames(run, steps[run]) if run in steps else None,
                bound=rounded(found.bounds[place]),
                tasks={task: by_task[task][run] for task in self.tasks},
            )
            for place, run in enumerate(self.order)
        ]
        whole = paired(self.parts[0], self.parts[1], LEVEL)
        return AcrossReport(
            viubench=__version__,
            alpha=ALPHA,
            level=LEVEL,
            margin=self.margin,
            budget=self.budget[0],
            varied=self.settings.names,
            n=sum(len({record.id for record in one.records}) for one in self.measured[0].values()),
            clusters=whole.clusters,
            settings=made,
            enough=found.enough,
            units=found.units,
            conclusion=conclusion(made, found, self.margin, whole.n),
            tasks_enough=enough_of,
            left_out=dict(left_out),
        )

    def same_frames(self, one: int, other: int) -> float | None:
        """The share of the answers before which two runs showed the same frames; None where none are known."""
        both = [
            (first.frames.hash, second.frames.hash)
            for task in self.tasks
            for first, second in zip(self.measured[one][task].records, self.measured[other][task].records, strict=True)
            if first.frames and second.frames
        ]
        return rounded(sum(first == second for first, second in both) / len(both)) if both else None

    def by_task(self) -> tuple[dict[str, dict[int, TaskAtSetting]], dict[str, int | None]]:
        """Each task at each run, and the place in the order at which the rule names it enough."""
        made: dict[str, dict[int, TaskAtSetting]] = {}
        enough: dict[str, int | None] = {}
        for task in self.tasks:
            values = [own[task].value for own in self.measured]
            best = max(self.order, key=lambda run, values=values: values[run])  # type: ignore[misc]
            changes = self.changes({run: best for run in self.order if run != best}, task)
            made[task] = {run: TaskAtSetting(value=rounded(values[run]), best=changes.get(run)) for run in self.order}
            enough[task] = plateau([self.measured[run][task].parts for run in self.order], self.margin, ALPHA).enough
        return made, enough

    def changes(self, pairs: Mapping[int, int], task: str | None = None) -> dict[int, SettingChange]:
        """The difference of each run to another one, over the mean or one task; one family of tests."""
        parts = self.parts if task is None else [own[task].parts for own in self.measured]
        values = self.values if task is None else [own[task].value for own in self.measured]
        found = {run: paired(parts[other], parts[run], LEVEL) for run, other in pairs.items()}
        adjusted = dict(zip(found, holm([difference.p_two_sided for difference in found.values()]), strict=True))
        return {
            run: SettingChange(
                a=rounded(values[pairs[run]]),
                b=rounded(values[run]),
                **change(difference, adjusted[run], len(found)),
                holm=short_p(adjusted[run]),
                differs=self.settings.between(pairs[run], run),
            )
            for run, difference in found.items()
        }


def conclusion(ordered: Sequence[Setting], found: Plateau, margin: float, units: int) -> str:
    """Where more stops helping, in a sentence; `ordered` are the settings from the smallest to the largest."""
    points, last = f"{100 * margin:g} points", ordered[-1]
    if found.enough is not None and found.enough < len(ordered) - 1:
        return f"{ordered[found.enough].label} is enough: no other setting is better by more than {points}"
    helped = last.step is not None and last.step.word == "better"
    if helped:
        return f"more still helps: {last.label} is better than {ordered[-2].label}, and nothing larger was tried"
    if found.enough is not None:
        return f"only {last.label}, the largest, is shown to be not worse than any other by more than {points}"
    need = f": about {found.units:,} would do, {units:,} were asked" if found.units and found.units > units else ""
    return f"not decided: too few questions to tell settings {points} apart{need}"


def _spent(records: Iterable[Record]) -> Spent:
    rows: list[dict[str, float | None]] = []
    for record in records:
        frames, shown = record.frames, record.shown
        rows.append(
            {
                "frames": len(frames.indices) if frames else None,
                "pixels": len(frames.indices) * frames.height * frames.width if frames else None,
                "prompt_tokens": record.usage.get("prompt_tokens"),
                "vision_tokens": shown.tokens if shown else None,
                "answer_tokens": record.usage.get("completion_tokens"),
                "seconds": record.seconds.get("engine"),
            }
        )
    means: dict[str, Any] = {}
    for name in Spent.model_fields:
        known = [value for row in rows if (value := row[name]) is not None]
        means[name] = round(float(np.mean(known)), 4) if known else None
    return Spent(**means)
