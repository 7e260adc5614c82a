"""The samples a reader can open: which ones, and each as plain data for the page's script.

Example:
    data = browser(runs, ["tiny", "blind"], per_task=12)
    data["samples"][0]["answers"][0]["status"]
    # 'ok'
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pandas as pd

from evaluators.reading.counts import SHAPES
from reports.data import samples
from reports.data.runs import RunData
from reports.html.escape import shorten, show
from reports.html.format import middle_cut
from reports.sections.frames import axis, captions, clips, first_frames, moments, place
from reports.sections.per_sample import headline, metric_of
from reports.sections.rule_words import in_words
from reports.sections.strips import Strips, left_out, strip_of
from viubench.pretext import drawn_shapes
from viubench.pretext.drawn_shapes import DrawnShapes
from viubench.schema import FrameInfo, Record

RESPONSE = 4_000
"""Characters of a raw response that are shown; the middle of a longer one is cut, with a note."""

FIELD = 400
"""Characters of an answer, a target or an error that are shown."""

NAME = 120
"""Characters of a file's name and of a group that are shown."""

TEXT_BUDGET = 3_000_000
"""Characters of all responses together; with too many for `RESPONSE` each they are cut to fewer, not below `FIELD`."""

ANSWERS = 8
"""Answers of one run to one question that are shown."""

DRAWINGS = {"temporal_iou": "interval", "permutation": "order", "shape_counts": "counts"}
"""How an evaluator's answers are drawn; any other's stand as text."""

Group = list[tuple[int, Record]]
"""What the runs, by their places, recorded of one sample: the same task, id and true answer."""


def browser(runs: Sequence[RunData], labels: Sequence[str], per_task: int, best: Sequence[int] = ()) -> dict[str, Any]:
    """The data of the sample browser, as JSON data.

    Of each task, `per_task` samples: those with a filmstrip first, then by id; and as many again that some model did
    not answer, so that each kind of failure can be looked at. Runs that put the same question are shown side by side.

    Args:
        best: the places of the models, the best first; the others follow in their own order.
    """
    shown = {path.stem for run in runs for path in (run.path / "strips").glob("*.jpg")}
    with_strip = {unquote(name) for name in shown}
    tasks = sorted({task for run in runs for task in run.by_task})
    total, parts = 0, []
    for task in tasks:
        rows = _side_by_side(runs, task)
        total += rows["sample"].nunique()
        parts.append(_chosen(rows, with_strip, per_task))
    groups = _groups(runs, parts)
    most = max(min(TEXT_BUDGET // max(sum(map(len, groups)), 1), RESPONSE), FIELD)
    strips = Strips()
    rank = {place: number for number, place in enumerate([*best, *(k for k in range(len(runs)) if k not in best)])}
    groups = [sorted(group, key=lambda pair: rank[pair[0]]) for group in groups]
    cards = [card(group, runs, strips, most) for group in groups]
    addresses = strips.addresses()
    return {
        "models": list(labels),
        "best": list(best),
        "tasks": tasks,
        "samples": cards,
        "rules": words_of(cards),
        "strips": addresses,
        "total": total,
        "stripsLeftOut": left_out(addresses),
    }


def words_of(cards: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The rules that these answers were read by, each in words."""
    rules = {answer["rule"] for card in cards for answer in card["answers"] if answer["rule"]}
    return {rule: shorten(in_words(rule), FIELD) for rule in sorted(rules)}


def _side_by_side(runs: Sequence[RunData], task: str) -> pd.DataFrame:
    """The rows of all runs of a task, by id; equal `sample` numbers where the id and the true answer are the same."""
    parts = [
        _first_answers(run.by_task[task])[["id", "status", "target", "offset"]].assign(run=k)
        for k, run in enumerate(runs)
        if task in run.by_task
    ]
    rows = pd.concat(parts).sort_values("id", kind="stable")
    rows["target"] = samples.each(rows["target"], repr)
    return rows.assign(sample=rows.groupby(["id", "target"], sort=False).ngroup())


def _first_answers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["number"] < ANSWERS] if "number" in rows else rows


def _chosen(rows: pd.DataFrame, with_strip: set[str], per_task: int) -> pd.DataFrame:
    """The rows of the samples to show: those with a strip first, then more that some run did not answer, of which each
    run's first failure of each kind comes first."""
    rows = rows.iloc[(~rows["id"].isin(with_strip)).argsort(kind="stable")]
    first = rows["sample"].drop_duplicates().head(per_task)
    failed = rows[(rows["status"] != "ok") & ~rows["sample"].isin(first)]
    new = failed.drop_duplicates(["run", "status"])
    more = pd.concat([new["sample"], failed["sample"]]).drop_duplicates().head(per_task)
    order = {sample: place for place, sample in enumerate(pd.concat([first, more]))}
    kept = rows[rows["sample"].isin(order)]
    return kept.assign(sample=kept["sample"].map(order)).sort_values(["sample", "run"], kind="stable")


def _groups(runs: Sequence[RunData], parts: Sequence[pd.DataFrame]) -> list[Group]:
    """The whole records of these rows, sample by sample."""
    known = [
        samples.records(run.path, {at for part in parts for at in part.loc[part["run"] == k, "offset"]})
        for k, run in enumerate(runs)
    ]
    return [
        [(k, known[k][at]) for k, at in zip(rows["run"], rows["offset"], strict=True)]
        for part in parts
        for _, rows in part.groupby("sample")
    ]


def card(group: Group, runs: Sequence[RunData], strips: Strips, most: int = RESPONSE) -> dict[str, Any]:
    """One sample: the question, and what each run (by its place in `runs`) answered, in at most `most` characters."""
    number, first = next(((n, r) for n, r in group if r.frames), group[0])
    drawing = DRAWINGS.get(runs[number].evaluator_name(first.task))
    times: Sequence[float] = ()
    if drawing == "interval":
        values = [first.target, *(record.answer for _, record in group)]
        times = axis(first.frames, [span for value in values for span in spans(value)])
    kept = ((n, strip_of(runs[n].path, record.id)) for n, record in group if record.frames)
    holder, strip = next(((n, strip) for n, strip in kept if strip), (number, None))
    metric = metric_of(runs[number], first.task)
    known = drawn_shapes.read(runs[holder].path, first.id, len(first.frames.times)) if strip and first.frames else None
    at = known.frames if known else None
    several = any(record.number for _, record in group)
    return {
        "task": first.task,
        "id": shorten(first.id, FIELD),
        "video": middle_cut(_video(first), NAME),
        "question": shorten(first.question, RESPONSE),
        "target": _target(first.target, drawing),
        "groups": [middle_cut(f"{key}: {value}", NAME) for key, value in sorted(first.groups.items())],
        "frames": _frames(first.frames),
        "captions": captions(first.frames, at) if first.frames else [],
        "seconds": moments(first.frames, at) if first.frames else [],
        "clipOf": clips(first.frames) if first.frames else [],
        "clips": first_frames(first.frames) if first.frames and drawing == "order" else [],
        "drawing": drawing,
        "bars": _bars(first.target, times),
        "answers": [
            _answer(n, record, first.frames, drawing, times, most)
            | _graded(headline(record, metric))
            | {"number": record.number + 1 if several else None}
            for n, record in group
        ],
        "strip": strips.place(strip),
    } | _shapes(known)


def _shapes(known: DrawnShapes | None) -> dict[str, Any]:
    """The shapes that were drawn, each with its place in the strip, None where its frame is not there."""
    if known is None:
        return {}
    place = {frame: k for k, frame in enumerate(known.frames)}
    return {"shapes": [{"name": one.shape, "at": place.get(one.frame), "box": one.box} for one in known.shapes]}


def _answer(
    number: int, record: Record, shown: FrameInfo | None, drawing: str | None, times: Sequence[float], most: int
) -> dict[str, Any]:
    answered = record.status == "ok"
    return {
        "model": number,
        "status": record.status,
        "response": None if record.response is None else shorten(record.response, most),
        "reasoning": None if record.reasoning is None else shorten(record.reasoning, most),
        "answer": _target(record.answer, drawing) if answered or record.answer is not None else None,
        "rule": record.rule,
        "scores": {name: round(score, 4) for name, score in sorted(record.scores.items())},
        "finish": record.finish_reason,
        "error": shorten(f"{record.error.fault}: {record.error.detail}", FIELD) if record.error else None,
        "otherFrames": bool(record.frames and shown and record.frames.hash != shown.hash),
        "bars": _bars(record.answer, times),
    } | read_at(record, most)


def read_at(record: Record, most: int) -> dict[str, Any]:
    """Where in the response, shown in at most `most` characters, the answer was read, in the UTF-16 units that a page
    counts in; {} where that is not known or is cut."""
    if record.span is None or record.response is None:
        return {}
    shown, (start, end) = shorten(record.response, most), record.span
    cut = len(shown) != len(record.response)
    if cut and end > most // 2:
        start, end = (at + len(shown) - len(record.response) for at in (start, end))
        if start < len(shown) - most // 2:
            return {}
    return {"read": [len(shown[:at].encode("utf-16-le", "surrogatepass")) // 2 for at in (start, end)]}


def _graded(score: float) -> dict[str, Any]:
    grade = "right" if score >= 1 - 1e-9 else "partly" if score > 0 else "wrong"
    return {"grade": grade, "score": round(score, 4)}


def _video(record: Record) -> str:
    """The names of its files, as far as they are known; else what its samples are grouped by."""
    path = PurePosixPath(record.cluster)
    return ", ".join(record.files) or (path.name if path.suffix else f"video {record.cluster}")


def _target(value: Any, drawing: str | None) -> dict[str, Any]:
    """A value as text and, where it can be drawn as chips, in parts."""
    if drawing == "interval" and (windows := spans(value)):
        return {"text": ", ".join(f"{start:.1f}–{end:.1f} s" for start, end in windows), "parts": []}
    parts: list[Any] = []
    if drawing in ("order", "counts"):
        numbers = value if isinstance(value, list) else []
        names = SHAPES if drawing == "counts" and len(numbers) == len(SHAPES) else [""] * len(numbers)
        pairs = list(value.items()) if isinstance(value, dict) else list(zip(names, numbers, strict=True))
        parts = [[str(name), int(v)] for name, v in pairs if isinstance(v, (int, float)) and math.isfinite(v)][:40]
    return {"text": shorten(show(value), FIELD), "parts": parts}


def _frames(frames: FrameInfo | None) -> str:
    if frames is None:
        return ""
    videos = f" of {frames.videos} videos" if frames.videos > 1 else ""
    return f"{len(frames.indices)} frames{videos}, {frames.width} × {frames.height} pixels"


def spans(value: Any) -> list[tuple[float, float]]:
    """The intervals in a target or an answer: one `[start, end]` or a list of them; none where it is neither."""
    rows = value if isinstance(value, list) else []
    rows = [rows] if len(rows) == 2 and all(isinstance(v, (int, float)) for v in rows) else rows
    return [
        (float(row[0]), float(row[1]))
        for row in rows
        if isinstance(row, list)
        and len(row) == 2
        and all(isinstance(v, (int, float)) and math.isfinite(v) for v in row)
    ][:20]


def _bars(value: Any, times: Sequence[float]) -> list[dict[str, Any]]:
    """Each interval as `left` and `width` in percent of the strip, cut to it, with its true ends as text; none where
    there is no axis of `times`."""
    bars = []
    for start, end in spans(value) if times else ():
        left, right = place(start, times), place(end, times)
        width = round(max(right - left, 0.5), 2)
        text = f"{start:.1f}–{end:.1f} s"
        bars.append({"left": min(left, 100 - width), "width": width, "start": start, "end": end, "text": text})
    return bars
