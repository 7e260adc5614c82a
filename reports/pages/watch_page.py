"""The page of a watch: scores of the checkpoints against their step, the trainer's reward beside them, and verdicts.

Example:
    write(Path("runs/train/watch/watch.html"), "train", history.latest(), turn.waiting, Path("runs/train"))

Like the leaderboard it is one file that needs no network. From a step of the table links lead to the checkpoint's
answers to some samples (`reports.sections.checkpoints`), to its run, and to what the training answered about then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from reports.data.answer_log import AnswerSample
from reports.data.training_log import LEAST_SMOOTHED, LOG, LogStage, load, smoothed
from reports.html import page, svg
from reports.html.escape import shorten
from reports.html.format import counted, interval, percent, short_names, with_interval
from reports.html.page import FEW, Finding
from reports.html.svg import Band, Curve, Level, Point
from reports.sections import checkpoints, training_answers
from viubench.errors import ViubenchError
from viubench.schema import Verdict, WatchEntry, WatchScore
from viubench.storage import atomic
from viubench.watch.scheduler import Waiting

PAGE = "watch.html"
MEAN = ""
"""The key of the mean of all tasks; no task has such a name."""

GLYPHS: dict[Verdict, str] = {"regress": "▼", "error": "×", "improve": "▲", "inconclusive": "?", "pass": "✓"}
"""Marks of the verdicts, those that must not be missed first."""

GLYPH_WIDTH = 9
"""Units of a plot that a mark of a verdict takes; where they would cover one another the later kinds are left out."""

MOST_REASON = 600

IN_ITS_BAND = '<path class="area" d="M0 0h22v10h-22z"/><path class="curve first" d="M0 5h22"/>'
RING = '<circle class="best-mark" cx="11" cy="5" r="4"/>'

__all__ = ["LOG", "PAGE", "render", "write"]


SAMPLE_SCRIPTS = ("player.js", "answers.js", "browser.js", "watch.js")

Link = tuple[str, str]
"""An address, and what it is called."""

Best = tuple[WatchEntry, WatchScore]
"""The checkpoint of the highest score, the earlier of equal ones."""


def write(
    out: Path, title: str, entries: Sequence[WatchEntry], waiting: Sequence[Waiting] = (), training: Path | None = None
) -> None:
    """Write the page, whole or not at all, and not where it is there already.

    Args:
        entries: one for each checkpoint, by step; their runs lie below the page's folder.
        waiting: checkpoints that are not there whole.
        training: folder of the trainer's log; one that cannot be read is named on the page.
    """
    links = {entry.name: [(f"{entry.run}/", "run")] for entry in entries if (out.parent / entry.run).is_dir()}
    shown = checkpoints.browser(out.parent, entries)
    html = render(title, entries, waiting, training, links=links, shown=shown).encode()
    if not out.exists() or out.read_bytes() != html:
        atomic.write(out, html)


def render(
    title: str,
    entries: Sequence[WatchEntry],
    waiting: Sequence[Waiting] = (),
    training: Path | None = None,
    *,
    links: Mapping[str, Sequence[Link]] = MappingProxyType({}),
    shown: Mapping[str, Any] | None = None,
    pages: Sequence[Link] = (),
    answers: bool = True,
) -> str:
    """The page as text; equal arguments give equal text.

    Args:
        links: what leads on from a checkpoint, by its name.
        shown: samples that some checkpoints answered (`reports.sections.checkpoints.browser`).
        pages: other pages of where it is served.
        answers: whether some of what the training answered stands below.
    """
    scored = [entry for entry in entries if entry.status == "evaluated"]
    heads = _heads(scored)
    known = {key: [(entry, score) for entry in scored if (score := _score(entry, key))] for key in heads}
    best = {key: max(found, key=lambda pair: pair[1].value) for key, found in known.items()}
    log, why_not, logged = None, "", AnswerSample()
    try:
        if training:
            loaded = load(training)
            log, logged = loaded.stages[-1], loaded.answers if answers else logged
    except (ViubenchError, OSError) as error:
        why_not = getattr(error, "message", str(error))
    context = {
        "title": title,
        "findings": [
            _length(scored, heads),
            _top(scored, heads, best),
            _worse(scored),
            _trust(entries, scored, waiting),
        ],
        "figures": [_figure(key, name, scored, best[key], log) for key, name in heads.items()],
        "why_not": why_not,
        "heads": list(heads.values()),
        "several": len(scored) > 1,
        "gated": any(entry.gate for entry in entries),
        "rows": [_row(entry, heads, best) | {"links": _links(entry, links, shown, logged)} for entry in entries],
        "answers": training_answers.draw(logged, heads),
        "shown": shown,
        "pages": pages,
        "waiting": waiting,
        "marks": GLYPHS,
    }
    scripts = SAMPLE_SCRIPTS if shown else ("drawn.js",)
    styles = ["samples.css", "watch.css"]
    return page.render("watch.html.j2", scripts, shown, context, styles=styles, served=bool(pages))


def _links(
    entry: WatchEntry, links: Mapping[str, Sequence[Link]], shown: Mapping[str, Any] | None, answers: AnswerSample
) -> list[Link]:
    """From a checkpoint to its answers to the samples of this page, to what else is known of it, and to the answers
    that the training logged last before it."""
    found: list[Link] = []
    if shown and checkpoints.name_of(entry) in shown["models"]:
        found.append((f"#model={quote(checkpoints.name_of(entry))}", "samples"))
    found += links.get(entry.name, ())
    logged = [step.number for step in answers.steps if step.number <= entry.step]
    if logged:
        found.append((f"#answers-{logged[-1]}", f"answers of step {logged[-1]:,}"))
    return found


def _heads(scored: Sequence[WatchEntry]) -> dict[str, str]:
    """What has a curve: the mean where there is one, then the tasks; key -> name."""
    tasks = short_names(sorted({task for entry in scored for task in entry.tasks}))
    return ({MEAN: "mean"} if any(entry.mean for entry in scored) else {}) | tasks


def _score(entry: WatchEntry, key: str) -> WatchScore | None:
    return entry.mean if key == MEAN else entry.tasks.get(key)


# --- in words -------------------------------------------------------------------------------------------------


def _length(scored: Sequence[WatchEntry], heads: Mapping[str, str]) -> Finding:
    question = "How far did it get?"
    if not scored:
        return Finding(question, "No score yet", "No checkpoint was evaluated.", warn=True)
    last = scored[-1]
    keys = [MEAN] if last.mean else last.tasks
    detail = ", ".join(f"{heads[key]} {_shown(score)}" for key in keys if (score := _score(last, key)))
    return Finding(question, f"{counted(len(scored), 'checkpoint')}, to step {last.step:,}", f"The last: {detail}.")


def _top(scored: Sequence[WatchEntry], heads: Mapping[str, str], best: Mapping[str, Best]) -> Finding:
    """The best of the first curve, and how much that says."""
    question = "Which step is best?"
    if not scored:
        return Finding(question, "Not known yet", "There is nothing to choose from.", warn=True)
    key, name = next(iter(heads.items()))
    entry, score = best[key]
    others = [found for one in scored if one is not entry and (found := _score(one, key))]
    tied = sum(found.ci[1] >= score.ci[0] for found in others)
    if others and all(found.value == score.value for found in others):
        return Finding(question, "None stands out", f"All have {name} {percent(score.value)}.", warn=True)
    detail = f"{name}, 95 % interval {interval(*score.ci)}."
    if tied:
        detail += f" The intervals of {counted(tied, 'other')} overlap it."
    if others:
        detail += f" The best of {len(others) + 1} on the same items is partly luck: confirm it on other items."
    return Finding(question, f"Step {entry.step:,}: {percent(score.value)}", detail, warn=bool(tied))


def _worse(scored: Sequence[WatchEntry]) -> Finding:
    question = "Did it get worse?"
    judged = [(entry, entry.gate) for entry in scored if entry.gate]
    if not judged:
        return Finding(question, "Not asked", "No gate was given (--gate).")
    counts = {verdict: sum(gate.verdict == verdict for _, gate in judged) for verdict in GLYPHS}
    detail = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    last, gate = judged[-1]
    detail = f"Against the reference run: {detail}. The last, step {last.step:,}: {gate.verdict}."
    lost = [entry.step for entry, gate in judged if gate.verdict == "regress"]
    if lost:
        steps = ", ".join(f"{step:,}" for step in lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        return Finding(question, f"Yes, at step {steps}", detail, warn=True)
    sure = not (counts["error"] or counts["inconclusive"])
    return Finding(question, "No" if sure else "Not shown", detail, warn=not sure)


def _trust(entries: Sequence[WatchEntry], scored: Sequence[WatchEntry], waiting: Sequence[Waiting]) -> Finding:
    question = "Can it be trusted?"
    failed = len(entries) - len(scored)
    worries = [f"{counted(failed, 'evaluation')} failed"] if failed else []
    for what in ("items", "protocol"):
        seen: dict[str, set[str]] = {}
        for entry in scored:
            for task, score in entry.tasks.items():
                seen.setdefault(task, set()).add(getattr(score, what))
        if any(len(hashes) > 1 for hashes in seen.values()):
            worries.append(f"not all checkpoints had the same {what}")
    if few := [task for task, score in (scored[-1].tasks if scored else {}).items() if score.n < FEW]:
        worries.append(f"under {FEW} samples in {counted(len(few), 'task')}")
    detail = f"{counted(len(waiting), 'checkpoint')} incomplete so far." if waiting else ""
    n = sum(score.n for score in scored[-1].tasks.values()) if scored else 0
    detail = f"{n:,} samples a checkpoint. {detail}" if n else detail
    answer = "With care: " + "; ".join(worries) if worries else "Yes" if scored else "No score yet"
    return Finding(question, answer, detail, warn=bool(worries) or not scored)


def _row(entry: WatchEntry, heads: Mapping[str, str], best: Mapping[str, Best]) -> dict[str, Any]:
    """A checkpoint in the table: a cell for each head, None where it has no score, and whether it is the best."""
    reason = entry.reason or (entry.gate.reason if entry.gate else "")
    if entry.command:
        reason = f"{reason}; the command on regression ended with exit code {entry.command}"
    cells = [(_score(entry, key), best[key][0] is entry) for key in heads]
    return {"entry": entry, "cells": cells, "reason": shorten(reason, MOST_REASON)}


# --- drawn ----------------------------------------------------------------------------------------------------


def _figure(key: str, name: str, scored: Sequence[WatchEntry], best: Best, log: LogStage | None) -> dict[str, Any]:
    """A plot with its legend, as (sample, words)."""
    found = [(entry, score) for entry in scored if (score := _score(entry, key))]
    called, earned = _reward(log, key) if log else ("", ())
    levels = _reference(key, scored)
    steps = [float(entry.step) for entry, _ in found] + [step for step, _ in earned]
    values = [end for _, score in found for end in (score.value, *score.ci)]
    values += [value for _, value in earned] + [level.value for level in levels]
    plane = svg.axes(_span(steps), values, lambda value: percent(value, 0), share=True)
    alone = [Band(entry.step, score.value, *score.ci) for entry, score in found] if len(found) == 1 else []
    intervals = [] if alone else [score.ci for _, score in found]
    line = Curve("first", [(entry.step, score.value) for entry, score in found], True, intervals)
    drawn = svg.plot(plane, [Curve("second", earned), line] if earned else [line], levels, alone)
    above = _marks([(plane.x(step), verdict) for step, verdict in _verdicts(scored, key)])
    first, last = _shown(found[0][1]), _shown(found[-1][1])
    metric = found[-1][1].metric
    if alone:
        legend = [(svg.key("band"), f"{metric} {last}")]
    else:
        x, y = plane.x(best[0].step), plane.y(best[1].value)
        above = f'<circle class="best-mark" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>{above}'
        legend = [
            (svg.svg("key", 22, 10, [IN_ITS_BAND]), f"{metric} from {first} to {last}, in its 95 % interval"),
            (svg.svg("key", 22, 10, [RING]), f"highest: {_shown(best[1])} at step {best[0].step:,}"),
        ]
    legend += [(svg.key("before"), level.text) for level in levels]
    if earned:
        legend.append((svg.key("second"), f"{called}, from {percent(earned[0][1])} to {percent(earned[-1][1])}"))
    plot = Markup(f"{str(drawn).removesuffix('</svg>')}{above}</svg>")  # numbers and our own marks
    return {"title": name, "plot": plot, "legend": legend}


def _reward(log: LogStage, task: str) -> tuple[str, Sequence[Point]]:
    """What the curve of the reward is called, and its points: of the task's own reward, else of all tasks together."""
    own = log.values(f"{task}/reward") if task else ()
    found = own or log.values("reward")
    name = "training reward" + ("" if own or not task else " of all tasks")
    if log.window < LEAST_SMOOTHED or len(found) < log.window:
        return name, found
    return f"{name}, mean of {log.window} steps", smoothed(found, log.window)


def _shown(score: WatchScore) -> str:
    return with_interval(score.value, *score.ci)


def _span(steps: Sequence[float]) -> Point:
    """From 0, unless that would leave more than half of a plot empty."""
    first, last = min(steps), max(steps)
    return (first if last < 2 * first and first < last else 0.0), last


def _reference(key: str, scored: Sequence[WatchEntry]) -> list[Level]:
    """The reference run's score by the latest verdict that knows it."""
    for entry in reversed(scored):
        value = None if entry.gate is None else entry.gate.mean if key == MEAN else entry.gate.baseline.get(key)
        if value is not None:
            return [Level("before", value, f"reference run {percent(value)}")]
    return []


def _verdicts(scored: Sequence[WatchEntry], key: str) -> list[tuple[int, Verdict]]:
    """The verdict on each checkpoint: of the task, or of all of them for the mean."""
    gates = [(entry.step, entry.gate) for entry in scored if entry.gate]
    verdicts = [(step, gate.verdict if key == MEAN else gate.tasks.get(key)) for step, gate in gates]
    return [(step, verdict) for step, verdict in verdicts if verdict]


def _marks(places: Sequence[tuple[float, Verdict]]) -> str:
    """The verdicts along the upper edge."""
    taken: list[float] = []
    parts = []
    for verdict, glyph in GLYPHS.items():
        for x in (x for x, found in places if found == verdict):
            if all(abs(x - other) >= GLYPH_WIDTH for other in taken):
                taken.append(x)
                parts.append(f'<text class="verdict {verdict} middle" x="{x:.1f}" y="8">{escape(glyph)}</text>')
    return "".join(parts)
