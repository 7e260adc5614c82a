"""The section of the page about a training: what it came to, and small curves of how, task by task.

Example:
    section = draw(load(Path("runs/train")))
    section["facts"][0].answer, [heading for heading, _ in section["groups"]]
    # ('220 steps', ['Warm start', 'count', 'ground', 'All tasks'])

Every figure appears three times: drawn, in its legend, and as a table of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.data.training_log import LEAST_SMOOTHED, CheckpointScore, LogStage, TrainingRun, smoothed
from reports.html import svg
from reports.html.format import number, percent, short_names, with_interval
from reports.html.page import Figure
from reports.html.svg import Curve, Level, Point
from reports.sections import training_answers
from reports.sections.training_summary import milestones

MOST_ROWS = 21
"""Rows of a figure's table; a longer one keeps rows at even distances, the first and the last among them."""

UPDATE = {
    "Loss": {"loss": "loss"},
    "KL to the reference, nats a token": {"kl": "KL"},
    "Entropy, nats a token": {"entropy": "entropy"},
    "Log-prob gap, rollout to trainer, nats": {"gap": "mean gap", "gap_max": "largest"},
    "Gradient norm before clipping": {"grad_norm": "norm"},
    "Learning rate": {"learning_rate": "rate"},
    "Tokens an answer": {"completions/mean_length": "mean length"},
    "Clipped ratios, share of tokens": {"clip_ratio/region_mean": "clipped"},
    "Importance ratio, trainer to rollout": {"sampling/importance_sampling_ratio/mean": "mean ratio"},
    "Seconds a step": {"seconds": "seconds", "seconds/rollout": "of these, rollouts"},
}
"""Figures about whole steps: title -> key in the log -> name in the legend."""

SHARES = {
    "completions/clipped_ratio": "answers cut at the longest length",
    "frac_reward_zero_std": "groups of equal rewards",
}
"""Shares of a whole step, in one figure: key in the log -> name in the legend."""

CURRICULUM = "curriculum/"
"""What the keys of the shares of a curriculum begin with; the cell of difficulty follows."""

EXACT = ("learning_rate",)
"""Measures that do not scatter: drawn as they are, without a mean."""

SPIKY = {"gap", "gap_max", "grad_norm"}
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
    peak: str = ""
    marked: bool = False


def draw(training: TrainingRun) -> dict[str, Any]:
    """The section of one training; equal logs give equal markup.

    Returns:
        Its `label`, the `facts` on top, `groups` of figures as (heading, figures), over how many steps the `means` are,
        empty where none is taken, some `answers` (see `training_answers`), and what is `left_out`.
    """
    stages = [stage for stage in training.stages if stage.steps or stage.evaluations]
    names = short_names(sorted({task for stage in stages for task in stage.tasks}))
    warm = next((stage for stage in stages if stage.name == "Warm start"), None)
    groups: list[tuple[str, list[Figure | None]]] = []
    for stage in stages:
        if stage is warm:
            figures = [_validation(stage, task, names[task] + ": validation") for task in stage.tasks]
            loss = _figure(stage, "Loss", [_line(stage, "loss", "loss")], number)
            groups.append((stage.name, [*figures, loss]))
            continue
        groups += [(names[task], _of_task(stage, task, warm)) for task in stage.tasks]
        rewards = [_line(stage, "reward", "reward"), _line(stage, "strict", "exact match")]
        updates = {title: [_line(stage, *named) for named in measures.items()] for title, measures in UPDATE.items()}
        drawn = [_figure(stage, title, lines, number) for title, lines in updates.items()]
        lost = _figure(stage, "Answers cut and groups of equal rewards", [_line(stage, *one) for one in SHARES.items()])
        groups.append(("All tasks", [_figure(stage, "Rollout reward", rewards), lost, _curriculum(stage), *drawn]))
    known = [(heading, [figure for figure in figures if figure]) for heading, figures in groups]
    return {
        "label": training.label,
        "facts": milestones(stages, names),
        "groups": [(heading, figures) for heading, figures in known if figures],
        "means": ", ".join(f"{s.window} steps ({s.name})" for s in stages if s.window >= LEAST_SMOOTHED),
        "answers": training_answers.draw(training.answers, names),
        "left_out": [*(line for stage in training.stages for line in stage.left_out), *training.answers.left_out],
    }


# --- figures --------------------------------------------------------------------------------------------------


def _of_task(stage: LogStage, task: str, warm: LogStage | None) -> list[Figure | None]:
    flags = [step for step, _ in stage.alarms.get(task, ())]

    def line(measure: str, name: str) -> CurveLine:
        return _line(stage, f"{task}/{measure}", name)

    answers = [line("distinct", "distinct answers per 100 questions"), line("top", "share of the top answer")]
    groups = [line("zero_advantage", "zero-advantage groups"), line("parsed", "parse rate")]
    return [
        _figure(stage, "Rollout reward", [line("reward", "reward")], levels=_baseline(stage, task)),
        _validation(stage, task, "Validation", warm),
        _figure(stage, "Distinct answers and top answer", answers, flags=flags),
        _figure(stage, "Zero-advantage groups and parse rate", groups),
    ]


def _curriculum(stage: LogStage) -> Figure | None:
    """The shares of the questions of the cells that a curriculum asks most and least at the end, if there is one."""
    last = {key: points[-1][1] for key, points in stage.series.items() if key.startswith(CURRICULUM)}
    order = sorted(last, key=lambda key: (-last[key], key))
    lines = [_line(stage, key, key.removeprefix(CURRICULUM)) for key in dict.fromkeys(order[:1] + order[-1:])]
    return _figure(stage, "Curriculum: questions asked most and least", lines, lambda share: percent(share))


def _validation(stage: LogStage, task: str, title: str, warm: LogStage | None = None) -> Figure | None:
    score, exact = (stage.validation(task, measure) for measure in ("reward", "strict"))
    lines = [CurveLine("score", score, score, "best", True), CurveLine("exact match", exact, exact, "best", True)]
    levels = _baseline(stage, task)
    if warm and (before := warm.validation(task, "reward")):
        levels.append(Level("before", before[-1][1], f"warm start {percent(before[-1][1])}"))
    return _figure(stage, title, lines, levels=levels, evaluations=stage.evaluations.get(task, ()))


def _line(stage: LogStage, key: str, name: str) -> CurveLine:
    found = stage.values(key)
    mean = smoothed(found, stage.window) if key not in EXACT and stage.window >= LEAST_SMOOTHED else found
    return CurveLine(name, found, mean, "largest" if key in SPIKY else "")


def _baseline(stage: LogStage, task: str) -> list[Level]:
    value = stage.baseline(task)
    return [] if value is None else [Level("baseline", value, f"baseline {percent(value)}")]


def _figure(
    stage: LogStage,
    title: str,
    lines: Sequence[CurveLine],
    show: Callable[[float], str] = percent,
    levels: Sequence[Level] = (),
    evaluations: Sequence[CheckpointScore] = (),
    flags: Sequence[float] = (),
) -> Figure | None:
    """The figure of these lines, shares unless they are shown otherwise; None where the log has nothing for it."""
    styles = {line.name: style for line, style in zip(lines, ("first", "second"), strict=False)}
    lines = [line for line in lines if line.points]
    if not lines and not evaluations:
        return None
    curves = []
    for line in lines:
        if line.mean is not line.points and len(lines) == 1:
            curves.append(Curve("faint", line.points))
        curves.append(Curve(styles[line.name], line.mean, line.marked))
    every = [value for line in lines for _, value in line.points] + [level.value for level in levels]
    every += [end for one in evaluations for end in (one.low, one.value, one.high)]
    share = show is percent
    plane = svg.axes(_span(stage), every, (lambda value: percent(value, 0)) if share else show, share=share)
    drawn = svg.plot(plane, curves, levels, evaluations, flags)
    legend = [(styles[line.name], _summary(line, show)) for line in lines]
    return Figure(title, drawn, (*legend, *_marks(levels, evaluations, flags)), *_table(lines, evaluations, show))


def _marks(
    levels: Sequence[Level], evaluations: Sequence[CheckpointScore], flags: Sequence[float]
) -> list[tuple[str, str]]:
    """The part of a legend about what is no curve."""
    found = []
    if evaluations:
        last = evaluations[-1]
        score = with_interval(last.value, last.low, last.high)
        found.append(("band", f"evaluation, {last.metric}: {score} after {last.step:,}"))
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


def _table(
    lines: Sequence[CurveLine], evaluations: Sequence[CheckpointScore], show: Callable[[float], str]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], int]:
    """Heads and rows, step by step: each measure as logged, its mean, the evaluations; and the number of all rows."""
    columns: dict[str, dict[float, str]] = {}
    for line in lines:
        columns[line.name] = {step: show(value) for step, value in line.points}
        if line.mean is not line.points:
            columns[f"{line.name}, mean"] = {step: show(value) for step, value in line.mean}
    for one in evaluations:
        columns.setdefault(f"evaluation, {one.metric}", {})[one.step] = with_interval(one.value, one.low, one.high)
    steps = sorted({step for column in columns.values() for step in column})
    kept = steps
    if len(steps) > MOST_ROWS:
        kept = [steps[round(k * (len(steps) - 1) / (MOST_ROWS - 1))] for k in range(MOST_ROWS)]
    rows = tuple((f"{step:,.0f}", *(column.get(step, "–") for column in columns.values())) for step in kept)
    return ("step", *columns), rows, len(steps)


def _span(stage: LogStage) -> Point:
    """The steps that all figures of a stage show; validation and evaluations come after a step."""
    evaluated = [one.step for ones in stage.evaluations.values() for one in ones]
    return min([*stage.steps[:1], *evaluated]), max([*(step + 1 for step in stage.steps[-1:]), *evaluated])
