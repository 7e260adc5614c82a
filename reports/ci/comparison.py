"""A comparison of two runs for the terminal: a table, what the numbers are, and the samples that turned.

Example:
    >>> print(text(report))  # doctest: +SKIP
    A: base (runs/base)
    B: step-200 (runs/step-200)
    B is better on 1 of 9 tasks
    ...

Names, paths, answers and what a model wrote are others' text: it is shown, never acted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tabulate import tabulate

from reports.ci.gate import MOST, line, percent, points
from reports.html.escape import p_value, show
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
    rows = [_row(line(task, MOST), found) for task, found in report.tasks.items()]
    if len(rows) > 1:
        rows.append(_mean(report))
    sides = ("left", *["right"] * (len(HEADERS) - 2), "left")
    table = tabulate(rows, HEADERS, disable_numparse=True, colalign=sides)
    return "\n".join([_title(report), table, *notes(report), METHOD])


METHOD = (
    "percent; paired differences, B minus A, clustered by source video; up / down: units scored higher / lower;\n"
    "to right / wrong: samples whose score rose / fell by half or more; p two-sided, Holm and Benjamini-Hochberg (BH)\n"
    "over the tasks; verdict: Holm below 0.05; detectable: the true change that would get one in 4 of 5 of these"
)


def headline(report: CompareReport) -> str:
    """Which way how many tasks went, in a few words."""
    words = [found.word for found in report.tasks.values()]
    if len(words) == 1:
        return "No difference shown" if words[0] == "no difference shown" else f"B is {words[0]}"
    counts = [f"{word} on {words.count(word)}" for word in ("better", "worse") if word in words]
    of = f"of {len(words)} tasks"
    return f"B is {' and '.join(counts)} {of}" if counts else f"No difference shown on any {of}"


def notes(report: CompareReport) -> Iterator[str]:
    """What else there is to say, a sentence each."""
    for path in report.left_out.items():
        yield f"left out: {line(path[0], MOST)}, which is not in {line(path[1])}"
    tasks = report.tasks.values()
    if same := sum(found.same_answers for found in tasks):
        yield f"every answer is the same on {same} of {len(report.tasks)} tasks"
    if alone := [task for task, found in report.tasks.items() if found.clusters == 1]:
        yield f"all items of {line(alone[0], MOST)} are of one source video, which says nothing about others"
    if hints := [task for task, found in report.tasks.items() if found.bh < report.alpha <= found.holm]:
        yield (
            f"perhaps: {', '.join(line(task, MOST) for task in hints)} "
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
        yield f"{turn(flip)}: {line(flip.a.task, MOST)} {line(flip.a.id, MOST)}, {line(place, MOST)}"
        yield f"  target  {line(show(flip.a.target), MOST)}"
        for name, record, score in (("A", flip.a, flip.score_a), ("B", flip.b, flip.score_b)):
            yield f"  {name}       {_answer(record, score)}"
        if strip := _strip(flip, paths):
            yield f"  frames  {line(str(strip))}"


def _answer(record: Record, score: float) -> str:
    read = f"{line(show(record.answer), MOST)} by {line(record.rule or '?', MOST)}, " if record.status == "ok" else ""
    said = "no response" if record.response is None else f'"{line(record.response, RESPONSE)}"'
    return f"{score:.2f}  {record.status.replace('_', ' ')}, {read}{said}"


def _strip(flip: Flip, paths: tuple[Path, Path]) -> Path | None:
    found = (strip_path(path, record.id) for path, record in zip(paths, (flip.a, flip.b), strict=True))
    return next((strip for strip in found if strip.is_file()), None)


def _title(report: CompareReport) -> str:
    runs = (f"{name}: {line(run.model, MOST)} ({line(run.path)})" for name, run in (("A", report.a), ("B", report.b)))
    return "\n".join([*runs, headline(report)])


def _row(name: str, found: TaskChange) -> list[str]:
    turned = f"{found.to_right} / {found.to_wrong}"
    corrected = [p_value(found.p), p_value(found.holm), p_value(found.bh)]
    return [name, str(found.n), *_scores(found), turned, *corrected, _least(found), found.word]


def _mean(report: CompareReport) -> list[str]:
    mean, tasks = report.mean, report.tasks.values()
    turned = f"{sum(found.to_right for found in tasks)} / {sum(found.to_wrong for found in tasks)}"
    total = str(sum(found.n for found in tasks))
    return [
        f"mean of {mean.tasks} tasks",
        total,
        *_scores(mean),
        turned,
        p_value(mean.p),
        "",
        "",
        _least(mean),
        mean.word,
    ]


def _scores(found: Change) -> list[str]:
    interval = f"{points(found.ci[0])} to {points(found.ci[1])}"
    counts = f"{found.better} / {found.worse}"
    return [str(found.clusters), percent(found.a), percent(found.b), points(found.difference), interval, counts]


def _least(found: Change) -> str:
    return "–" if found.detectable is None else percent(found.detectable)
