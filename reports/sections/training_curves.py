"""The section of the page about a training: what it came to, and small curves of how, task by task.

Example:
    >>> section = draw(load(Path("runs/train")))
    >>> section.facts[0].answer, [group.heading for group in section.groups]
    ('220 steps', ['Warm start', 'count', 'ground', 'All tasks'])

Every figure appears three times: drawn, in its legend, and as a table of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.data.training_log import LEAST_SMOOTHED, CheckpointScore, LogStage, TrainingRun, smoothed
from reports.html import svg
from reports.html.format import interval, number, percent, short_names
from reports.html.page import Figure, Finding
from reports.html.svg import Band, Curve, Level, Point
from reports.sections.training_summary import milestones

MOST_ROWS = 21
"""Rows of a figure's table; a longer one keeps rows at even distances, the first and the last among them."""

UPDATE = {
    "Loss": {"loss": "loss"},
    "KL to the reference, nats a token": {"kl": "KL"},
    "Entropy, nats a token": {"entropy": "entropy"},
    "Largest log-prob gap, rollout to trainer": {"gap": "gap"},
    "Gradient norm before clipping": {"grad_norm": "norm"},
    "Learning rate": {"lr": "rate"},
    "Seconds a step": {"seconds": "seconds", "seconds/rollout": "of these, rollouts"},
}
"""Figures about whole steps: title -> key in the log -> name in the legend."""

EXACT = ("lr",)
"""Measures that do not scatter: drawn as they are, without a mean."""

SPIKY = {"gap", "grad_norm"}
"""Measures whose single highest step matters."""


@dataclass(frozen=True)
class CurveLine:
    """A measure in a figure.

    Attributes:
        points: as logged.
        mean: over a window of them; `points` itself where none is taken.
        peak: what the legend calls the highest point; empty where it is not worth a word.
    """

    name: str
    points: Sequence[Point]
    mean: Sequence[Point]
    marked: bool = False
    peak: str = ""


@dataclass(frozen=True)
class Group:
    """Figures under one heading."""

    heading: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Section:
    """A training as the page shows it; `means` says over how many steps they are, empty where none is taken."""

    label: str
    facts: tuple[Finding, ...]
    groups: tuple[Group, ...]
    means: str
    left_out: tuple[str, ...]


def draw(training: TrainingRun) -> Section:
    """The section of one training; equal logs give equal markup."""
    stages = [stage for stage in training.stages if stage.steps or stage.evaluations]
    names = short_names(sorted({task for stage in stages for task in stage.tasks}))
    warm = next((stage for stage in stages if stage.name == "Warm start"), None)
    groups = []
    for stage in stages:
        if stage is warm:
            figures = [_validation(stage, task, names[task] + ": validation") for task in stage.tasks]
            loss = _figure(stage, "Loss", [_line(stage, "loss", "loss")], number)
            groups.append(Group(stage.name, _drawn([*figures, loss])))
            continue
        for task in stage.tasks:
            groups.append(Group(names[task], _drawn(_of_task(stage, task, warm))))
        groups.append(Group("All tasks", _drawn([_rewards(stage), *_update(stage)])))
    return Section(
        training.label,
        milestones(stages, names),
        tuple(group for group in groups if group.figures),
        ", ".join(f"{stage.window} steps ({stage.name})" for stage in stages if stage.window >= LEAST_SMOOTHED),
        tuple(line for stage in training.stages for line in stage.left_out),
    )


# --- figures --------------------------------------------------------------------------------------------------


def _of_task(stage: LogStage, task: str, warm: LogStage | None) -> list[Figure | None]:
    flags = [alarm.step for alarm in stage.alarms if alarm.task == task]

    def line(measure: str, name: str) -> CurveLine:
        return _line(stage, f"{task}/{measure}", name)

    answers = [line("distinct", "distinct answers per 100 questions"), line("top", "share of the top answer")]
    groups = [line("zero_advantage", "zero-advantage groups"), line("parsed", "parse rate")]
    return [
        _share(stage, "Rollout reward", [line("reward", "reward")], levels=_baseline(stage, task)),
        _validation(stage, task, "Validation", warm),
        _share(stage, "Distinct answers and top answer", answers, flags=flags),
        _share(stage, "Zero-advantage groups and parse rate", groups),
    ]


def _validation(stage: LogStage, task: str, title: str, warm: LogStage | None = None) -> Figure | None:
    score, exact = (stage.validation(task, measure) for measure in ("reward", "strict"))
    lines = [CurveLine("score", score, score, True, "best"), CurveLine("exact match", exact, exact, True, "best")]
    levels = _baseline(stage, task)
    if warm and (before := warm.validation(task, "reward")):
        levels.append(Level("before", before[-1][1], f"warm start {percent(before[-1][1])}"))
    return _share(stage, title, lines, levels=levels, evaluations=stage.evaluations.get(task, ()))


def _rewards(stage: LogStage) -> Figure | None:
    lines = [_line(stage, "reward", "reward"), _line(stage, "strict", "exact match")]
    return _share(stage, "Rollout reward", lines)


def _update(stage: LogStage) -> list[Figure | None]:
    found = []
    for title, measures in UPDATE.items():
        lines = [_line(stage, key, name, smooth=key not in EXACT) for key, name in measures.items()]
        peak = "largest" if measures.keys() & SPIKY else ""
        found.append(_figure(stage, title, [replace(line, peak=peak) for line in lines], number))
    return found


def _line(stage: LogStage, key: str, name: str, *, smooth: bool = True) -> CurveLine:
    found = stage.values(key)
    return CurveLine(name, found, smoothed(found, stage.window) if smooth and stage.window >= LEAST_SMOOTHED else found)


def _baseline(stage: LogStage, task: str) -> list[Level]:
    value = stage.baseline(task)
    return [] if value is None else [Level("baseline", value, f"baseline {percent(value)}")]


def _share(
    stage: LogStage,
    title: str,
    lines: Sequence[CurveLine],
    levels: Sequence[Level] = (),
    evaluations: Sequence[CheckpointScore] = (),
    flags: Sequence[float] = (),
) -> Figure | None:
    return _figure(stage, title, lines, percent, levels, evaluations, flags, share=True)


def _figure(
    stage: LogStage,
    title: str,
    lines: Sequence[CurveLine],
    show: Callable[[float], str],
    levels: Sequence[Level] = (),
    evaluations: Sequence[CheckpointScore] = (),
    flags: Sequence[float] = (),
    *,
    share: bool = False,
) -> Figure | None:
    """The figure of these lines; None where the log has nothing for it."""
    styles = {line.name: style for line, style in zip(lines, ("first", "second"), strict=False)}
    lines = [line for line in lines if line.points]
    if not lines and not evaluations:
        return None
    curves = []
    for line in lines:
        if line.mean is not line.points and len(lines) == 1:
            curves.append(Curve("faint", line.points))
        curves.append(Curve(styles[line.name], line.mean, line.marked))
    bands = [Band(one.steps, one.value, one.low, one.high) for one in evaluations]
    every = [value for line in lines for _, value in line.points]
    every += [level.value for level in levels] + [end for band in bands for end in (band.low, band.value, band.high)]
    plane = svg.axes(_span(stage), every, _whole_percent if share else show, share=share)
    drawn = svg.plot(plane, curves, levels, bands, flags)
    legend = [(styles[line.name], _summary(line, show)) for line in lines]
    return Figure(title, drawn, (*legend, *_marks(levels, evaluations, flags)), *_table(lines, evaluations, show))


def _marks(
    levels: Sequence[Level], evaluations: Sequence[CheckpointScore], flags: Sequence[float]
) -> list[tuple[str, str]]:
    """The part of a legend about what is no curve."""
    found = []
    if evaluations:
        last = evaluations[-1]
        found.append(("band", f"evaluation, {last.metric}: {_with_interval(last)} after {last.steps:,}"))
    for level in levels:
        found.append((level.style, level.text + (": the best constant answer" if level.style == "baseline" else "")))
    if flags:
        found.append(("flag", f"alarm at {len(flags)} step{'s, the first' if len(flags) > 1 else ''} {flags[0]:,.0f}"))
    return found


def _summary(line: CurveLine, show: Callable[[float], str]) -> str:
    """A curve in legend: where it starts and ends, and its peak as logged where that is neither."""
    first, last = show(line.mean[0][1]), show(line.mean[-1][1])
    if len(line.mean) == 1:
        return f"{line.name} {last}"
    step, top = max(line.points, key=lambda point: point[1])
    peak = f", {line.peak} {show(top)} at {step:,.0f}" if line.peak and show(top) not in (first, last) else ""
    return f"{line.name} from {first} to {last}{peak}"


def _with_interval(one: CheckpointScore) -> str:
    return f"{percent(one.value)} ({interval(one.low, one.high)})"


def _table(
    lines: Sequence[CurveLine], evaluations: Sequence[CheckpointScore], show: Callable[[float], str]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], int]:
    """Heads and rows, step by step: each measure as logged, its mean, the evaluations; and the number of all rows."""
    columns: list[tuple[str, Mapping[float, str | float]]] = []
    for line in lines:
        columns.append((line.name, dict(line.points)))
        if line.mean is not line.points:
            columns.append((f"{line.name}, mean", dict(line.mean)))
    for metric in dict.fromkeys(one.metric for one in evaluations):
        own = {float(one.steps): _with_interval(one) for one in evaluations if one.metric == metric}
        columns.append((f"evaluation, {metric}", own))
    steps = sorted({step for _, column in columns for step in column})
    kept = steps
    if len(steps) > MOST_ROWS:
        kept = [steps[round(k * (len(steps) - 1) / (MOST_ROWS - 1))] for k in range(MOST_ROWS)]

    def cell(value: str | float) -> str:
        return value if isinstance(value, str) else show(value)

    rows = tuple((f"{step:,.0f}", *(cell(column.get(step, "–")) for _, column in columns)) for step in kept)
    return ("step", *(name for name, _ in columns)), rows, len(steps)


def _span(stage: LogStage) -> Point:
    """The steps that all figures of a stage show; validation and evaluations come after a step."""
    evaluated = [one.steps for ones in stage.evaluations.values() for one in ones]
    return min([*stage.steps[:1], *evaluated]), max([*(step + 1 for step in stage.steps[-1:]), *evaluated])


def _drawn(figures: Sequence[Figure | None]) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure is not None)


def _whole_percent(fraction: float) -> str:
    return percent(fraction, 0)
