"""A comparison of two runs for the terminal: a table, what the numbers are, and the samples that turned.

Example:
    print(text(report))
    # A: base (runs/base)
    # B: step-200 (runs/step-200)
    # B is better on 1 of 9 tasks
    # ...

Names, paths, answers and what a model wrote are others' text: it is shown, never acted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reports.html.escape import one_line, short_line, show
from reports.html.format import p_value, percent, points, points_interval
from reports.tables.terminal import table
from viubench.comparison.report import Flip
from viubench.schema import Record
from viubench.schema.compare import Change, CompareReport, TaskChange
from viubench.video.filmstrip import strip_path

RESPONSE = 300
"""Characters of a response that a terminal shows."""

HEADERS = ("task", "n", "videos", "A", "B", "change", "95 % interval", "up / down", "to right\n/ wrong", "p", "Holm",
           "BH", "detect-\nable", "verdict")  # fmt: skip


def text(report: CompareReport) -> str:
    """Heading, table and notes as plain text."""
    sides = {"A": report.a, "B": report.b}
    runs = [f"{name}: {short_line(run.model)} ({one_line(run.path)})" for name, run in sides.items()]
    rows = [_row(short_line(task), found, [found]) for task, found in report.tasks.items()]
    if len(rows) > 1:
        rows.append(_row(f"mean of {report.mean.tasks} tasks", report.mean, list(report.tasks.values())))
    aligned = ("left", *["right"] * (len(HEADERS) - 2), "left")
    return "\n".join([*runs, headline(report), table(rows, HEADERS, aligned), *notes(report), METHOD])


METHOD = (
    "percent; paired differences, B minus A, clustered by source video; up / down: units scored higher / lower;\n"
    "to right / wrong: samples whose score rose / fell by half or more; p two-sided, Holm and Benjamini-Hochberg (BH)\n"
    "over the tasks; verdict: Holm below 0.05; detectable: minimum detectable change at 80 % power"
)


def headline(report: CompareReport) -> str:
    """On how many tasks B is better or worse."""
    verdicts = [found.word for found in report.tasks.values()]
    if len(verdicts) == 1:
        return "No difference shown" if verdicts[0] == "no difference shown" else f"B is {verdicts[0]}"
    counts = [f"{word} on {verdicts.count(word)}" for word in ("better", "worse") if word in verdicts]
    of = f"of {len(verdicts)} tasks"
    return f"B is {' and '.join(counts)} {of}" if counts else f"No difference shown on any {of}"


def notes(report: CompareReport) -> Iterator[str]:
    """What else there is to say, a sentence each."""
    for path in report.left_out.items():
        yield f"left out: {short_line(path[0])}, which is not in {one_line(path[1])}"
    tasks = report.tasks.values()
    if same := sum(found.same_answers for found in tasks):
        yield f"every answer is the same on {same} of {len(report.tasks)} tasks"
    if alone := [task for task, found in report.tasks.items() if found.clusters == 1]:
        yield f"all items of {short_line(alone[0])} are of one source video, which says nothing about others"
    if hints := [task for task, found in report.tasks.items() if found.bh < report.alpha <= found.holm]:
        yield (
            f"perhaps: {', '.join(short_line(task) for task in hints)} "
            f"(BH below {report.alpha:g}, Holm not: a lead to follow, not a finding)"
        )


def turn(flip: Flip) -> str:
    """ "right → wrong", or for a graded score from what to what it changed: "0.67 → 0.00"."""
    if flip.size == 1:
        return "right → wrong" if flip.direction == "wrong" else "wrong → right"
    return f"{flip.score_a:.2f} → {flip.score_b:.2f}"


def flip_lines(found: Sequence[Flip], total: int, paths: tuple[Path, Path]) -> Iterator[str]:
    """The samples that turned, each with both answers and where its frames are."""
    yield f"{len(found)} of the {total} samples that turned:"
    for flip in found:
        yield ""
        groups = "".join(f", {key} {show(value)}" for key, value in sorted(flip.a.groups.items()))
        place = f"video {flip.a.cluster}{groups}"
        yield f"{turn(flip)}: {short_line(flip.a.task)} {short_line(flip.a.id)}, {short_line(place)}"
        yield f"  target  {short_line(show(flip.a.target))}"
        for name, record, score in (("A", flip.a, flip.score_a), ("B", flip.b, flip.score_b)):
            yield f"  {name}       {_answer(record, score)}"
        strips = (strip_path(path, record.id) for path, record in zip(paths, (flip.a, flip.b), strict=True))
        if strip := next((strip for strip in strips if strip.is_file()), None):
            yield f"  frames  {one_line(str(strip))}"


def _answer(record: Record, score: float) -> str:
    read = f"{short_line(show(record.answer))} by {short_line(record.rule or '?')}, " if record.status == "ok" else ""
    response = "no response" if record.response is None else f'"{one_line(record.response, RESPONSE)}"'
    return f"{score:.2f}  {record.status.replace('_', ' ')}, {read}{response}"


def _row(name: str, found: Change, tasks: Sequence[TaskChange]) -> list[str]:
    """The row of a task, or of the mean of `tasks`."""
    sizes = [str(sum(task.n for task in tasks)), str(found.clusters)]
    scores = [percent(found.a), percent(found.b), points(found.difference), points_interval(found.ci)]
    turned = f"{sum(task.to_right for task in tasks)} / {sum(task.to_wrong for task in tasks)}"
    corrected = [p_value(found.holm), p_value(found.bh)] if isinstance(found, TaskChange) else ["", ""]
    tests = [p_value(found.p), *corrected, percent(found.detectable)]
    return [name, *sizes, *scores, f"{found.better} / {found.worse}", turned, *tests, found.word]
