"""Subtitles of a question's video: read from .srt, .vtt or LongVideoBench's JSON, and told before the question.

Example:
    >>> lines = parse_srt("1\\n00:00:01,000 --> 00:00:03,500\\n<i>Hello</i>\\nthere\\n")
    >>> print(told("<video>\\nWho speaks?", lines, None, None))
    <video>
    What is said in this video, each line after its start and end in seconds:
    1.0-3.5: Hello there
    <BLANKLINE>
    Who speaks?
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from viubench.datasets.encodings import decoded
from viubench.errors import ViubenchError
from viubench.schema import Task

MARK = "<video>"
HEAD = "What is said in this video, each line after its start and end in seconds:"

_TIME = r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)"
_SPAN = re.compile(rf"{_TIME}\s*-->\s*{_TIME}")
_STYLE = re.compile(r"<[^<>\n]*>|\{\\[^{}\n]*\}")


class Line(NamedTuple):
    """One line of subtitles and when it is shown, in seconds."""

    start: float
    end: float
    text: str


def require(task: Task) -> None:
    """Raise ViubenchError for a task that names no subtitles."""
    if task.video is None or not task.video.subtitles:
        hint = (
            "videomme, longvideobench and cgbench have some; or leave out subtitles, or add video.subtitles to the task"
        )
        raise ViubenchError(f"{task.task} has no subtitles to tell", where="subtitles", hint=hint)


def read(path: Path, shift: float = 0.0) -> list[Line]:
    """The lines of a file in order of time, `shift` seconds earlier; none of an empty file. Raises OSError, and
    ValueError that says why a file that holds something cannot be read."""
    text = decoded(path.read_bytes())
    lines = list(_from_json(text) if path.suffix.lower() == ".json" else parse_srt(text))
    if not lines and text.strip() not in ("", "WEBVTT", "[]"):
        raise ValueError("it holds no line with a time")
    return sorted(line._replace(start=line.start - shift, end=line.end - shift) for line in lines)


def parse_srt(text: str) -> list[Line]:
    """The lines of SubRip or WebVTT text, without styles; one that repeats the line before it is left out."""
    lines: list[Line] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        match = _SPAN.search(block)
        if match is None:
            continue
        said = block[match.end() :].partition("\n")[2]
        line = _line(_seconds(*match.groups()[:3]), _seconds(*match.groups()[3:]), said)
        if line and not (lines and lines[-1].text == line.text):
            lines.append(line)
    return lines


def told(question: str, lines: Iterable[Line], start: float | None, end: float | None) -> str:
    """The question with what is said between `start` and `end` (seconds; None is the video's own) after its video."""
    shown = [line for line in lines if line.end > (start or 0.0) and (end is None or line.start < end)]
    if not shown:
        return question
    listed = "\n".join(f"{max(line.start, 0):.1f}-{_until(line)}: {line.text}" for line in shown)
    before, mark, after = question.partition(MARK)
    if not mark:
        before, after = "", question
    return f"{before}{mark}" + "\n" * bool(mark) + f"{HEAD}\n{listed}\n\n" + after.lstrip("\n")


def _until(line: Line) -> str:
    return "end" if math.isinf(line.end) else f"{line.end:.1f}"


def _from_json(text: str) -> Iterator[Line]:
    """LongVideoBench: `timestamp` [start, end] in seconds and `text`, or clock times `start` and `end` and `line`."""
    try:
        entries = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    for entry in entries if isinstance(entries, list) else ():
        line = _entry(entry) if isinstance(entry, dict) else None
        if line:
            yield line


def _entry(entry: dict[str, Any]) -> Line | None:
    span = entry.get("timestamp") or (entry.get("start"), entry.get("end"))
    if not isinstance(span, Sequence) or len(span) != 2:
        return None
    start, end = map(_clock, span)
    if start is None:
        return None
    return _line(start, math.inf if end is None else end, str(entry.get("text") or entry.get("line") or ""))


def _clock(time: Any) -> float | None:
    """Seconds of a number or a text such as 00:01:02.5."""
    if isinstance(time, int | float) and not isinstance(time, bool):
        return float(time)
    match = re.fullmatch(rf"\s*{_TIME}\s*", time) if isinstance(time, str) else None
    return _seconds(*match.groups()) if match else None


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))


def _line(start: float, end: float, said: str) -> Line | None:
    text = " ".join(_STYLE.sub("", said).split())
    return Line(start, end, text) if text and -math.inf < start < end else None
