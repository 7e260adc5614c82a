"""Subtitles of a question's video: read from .srt, .vtt, LongVideoBench's JSON or Video-MME-v2's words, and told before
the question, or between the parts of the video.

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
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from viubench.datasets.encodings import decoded
from viubench.errors import ViubenchError
from viubench.schema import Protocol, Task

MARK = "<video>"
HEAD = "What is said in this video, each line after its start and end in seconds:"
PARTED = "The video is shown in parts. After each is what is said in it, each line after its start and end in seconds."
PARTS = 8
"""Parts that a video is shown in where its subtitles are interleaved."""
SHORTEST = 2.0
"""Seconds of a part at least."""
PAUSE = 0.5
"""Seconds without a word that end a line, where a file tells single words."""

_TIME = r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)"
_SPAN = re.compile(rf"{_TIME}\s*-->\s*{_TIME}")
_STYLE = re.compile(r"<[^<>\n]*>|\{\\[^{}\n]*\}")


class Line(NamedTuple):
    """One line of subtitles and when it is shown, in seconds."""

    start: float
    end: float
    text: str


def require(task: Task, protocol: Protocol | None = None) -> None:
    """Raise ViubenchError for a task that names no subtitles, or for parts of a file that is sent whole."""
    if protocol and protocol.subtitles == "interleaved" and protocol.media == "file":
        hint = "with media=file, subtitles=true tells them before the question"
        raise ViubenchError("a file sent whole is not shown in parts", where="subtitles: interleaved", hint=hint)
    if task.video is None or not task.video.subtitles:
        hint = "videomme, videomme_v2, longvideobench and cgbench have some; or add video.subtitles to the task"
        raise ViubenchError(f"{task.task} has no subtitles to tell", where="subtitles", hint=hint)


def read(path: Path, shift: float = 0.0) -> list[Line]:
    """The lines of a file in order of time, `shift` seconds earlier; none of an empty file. Raises OSError, and
    ValueError that says why a file that holds something cannot be read."""
    text, suffix = decoded(path.read_bytes()), path.suffix.lower()
    words = "[" + ",".join(filter(str.strip, text.splitlines())) + "]" if suffix == ".jsonl" else ""
    lines = _sentences(_from_json(words)) if words else list(_from_json(text) if suffix == ".json" else parse_srt(text))
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
    listed = _listed(shown)
    before, mark, after = question.partition(MARK)
    if not mark:
        before, after = "", question
    return f"{before}{mark}" + "\n" * bool(mark) + f"{HEAD}\n{listed}\n\n" + after.lstrip("\n")


def parts(start: float, end: float) -> list[tuple[float, float]]:
    """The parts, equally long, in which a video from `start` to `end` (seconds) is shown."""
    count = max(min(PARTS, int((end - start) / SHORTEST)), 1)
    cuts = [start + (end - start) * k / count for k in range(count + 1)]
    return list(pairwise(cuts))


def interleaved(question: str, lines: Sequence[Line], spans: Sequence[tuple[float, float]]) -> str:
    """The question with a mark for each part of its video, and after it the lines that begin in it; one that began
    before the first part and lasts into it is told there."""
    first = spans[0][0]
    told_in = [
        [line for line in lines if start <= max(line.start, first) < end and line.end > first] for start, end in spans
    ]
    shown = "\n".join(f"{MARK}\n{_listed(said)}".rstrip() for said in told_in)
    before, mark, after = question.partition(MARK)
    if not mark:
        before, after = "", question
    return f"{before}{PARTED}\n{shown}\n\n" + after.lstrip("\n")


def _listed(lines: Sequence[Line]) -> str:
    return "\n".join(f"{max(line.start, 0):.1f}-{_until(line)}: {line.text}" for line in lines)


def _until(line: Line) -> str:
    return "end" if math.isinf(line.end) else f"{line.end:.1f}"


def _sentences(words: Iterable[Line]) -> list[Line]:
    """Words as lines: a pause ends one, and so does the end of a sentence before any pause at all."""
    found: list[Line] = []
    for word in sorted(words):
        pause = word.start - found[-1].end if found else math.inf
        if pause > PAUSE or (pause > PAUSE / 5 and found[-1].text.endswith((".", "!", "?", "。", "！", "？"))):
            found.append(word)
        else:
            found[-1] = Line(found[-1].start, max(found[-1].end, word.end), f"{found[-1].text} {word.text}")
    return found


def _from_json(text: str) -> Iterator[Line]:
    """LongVideoBench: `timestamp` [start, end] in seconds and `text`, or clock times `start` and `end` and `line`;
    Video-MME-v2: `text`, `start_time` and `end_time` of a word."""
    try:
        entries = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    for entry in entries if isinstance(entries, list) else ():
        line = _entry(entry) if isinstance(entry, dict) else None
        if line:
            yield line


def _entry(entry: dict[str, Any]) -> Line | None:
    span = entry.get("timestamp") or (
        entry.get("start", entry.get("start_time")),
        entry.get("end", entry.get("end_time")),
    )
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
