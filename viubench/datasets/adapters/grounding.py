"""Temporal grounding sets, each in its original layout and the hub's: ActivityNet Captions, Charades-STA, TACoS,
TimeLens-Bench.

Example: the line `INV12 4.1 11.9##person puts a towel on a shelf.` of Charades-STA gives

    {"vid": "INV12", "place": 0, "query": "person puts a towel on a shelf.", "relevant_windows": [[4.1, 11.9]]}

All give one row per sentence, stripped, in file order; equal sentences of a video are all kept, and an interval stays
as it is, also one that ends after its video. `place` is the sentence's place among those of its video, from 0;
`relevant_windows` and `duration` (where the set has one) are in seconds.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.errors import ViubenchError

Query = tuple[str, list[float], str]
"""Video, [start, end], sentence."""

_LINE = re.compile(r"(\S+)\s+([0-9.]+)\s+([0-9.]+)\s*##(.+)")


def activitynet(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """A dictionary of videos with parallel lists of intervals and sentences, or the hub's list of such videos.

    Videos of the list name themselves: `video_id`, or `video` with a suffix.

    Raises ViubenchError for both layouts or two places at once, or a video with more sentences than intervals.
    """
    for file in one_place(files):
        index = 0
        for vid, video in _videos(file.content):
            spans, sentences = video["timestamps"], video["sentences"]
            if len(spans) != len(sentences):
                raise ViubenchError(f"{vid}: {len(spans)} intervals for {len(sentences)} sentences", where=file.path)
            for place, (span, sentence) in enumerate(zip(spans, sentences, strict=True)):
                yield {
                    "vid": vid,
                    "place": place,
                    "duration": video["duration"],
                    "query": sentence.strip(),
                    "relevant_windows": [span],
                    **file.place(index),
                }
                index += 1


def _videos(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(content, dict):
        yield from content.items()
        return
    for video in content:
        yield video.get("video_id") or PurePosixPath(video["video"]).stem, video


def timelens(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """The publisher's dictionary of videos with their `spans` and `queries`, read as ActivityNet's, or the repack's
    table of one row per query; ViubenchError for both or two places at once."""
    for file in one_place(files):
        if isinstance(file.content, dict):
            same = {
                vid: {"duration": video["duration"], "timestamps": video["spans"], "sentences": video["queries"]}
                for vid, video in file.content.items()
            }
            yield from activitynet([file._replace(content=same)])
            continue
        for index, row in enumerate(file.content):
            span = json.loads(row["span"]) if isinstance(row["span"], str) else row["span"]
            about = {"vid": PurePosixPath(row["video_path"]).stem, "place": index, "duration": row.get("duration")}
            yield about | {"query": row["query"].strip(), "relevant_windows": span, **file.place(index)}


def charades(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """The original text file, or the hub's table, whose 16-bit numbers are up to 0.0125 s beside those of the text.

    Raises ViubenchError for text and table or two places at once, or a line that is not `VIDEO start end##sentence`.
    """
    seen: Counter[str] = Counter()
    for file in one_place(files):
        queries = _lines(file) if isinstance(file.content, str) else map(_table_row, file.content)
        for index, (vid, window, query) in enumerate(queries):
            yield {"vid": vid, "place": seen[vid], "query": query, "relevant_windows": [window], **file.place(index)}
            seen[vid] += 1


def _lines(file: RowFile) -> Iterator[Query]:
    for number, line in enumerate(file.content.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            where = f"{file.folder / file.path}:{number}"
            raise ViubenchError(f"not a line VIDEO start end##sentence: {line!r:.80}", where=where)
        yield match[1], [float(match[2]), float(match[3])], match[4].strip()


def _table_row(row: Mapping[str, Any]) -> Query:
    start, end = row["timestamp"]
    return PurePosixPath(row["video"]).stem, [float(start), float(end)], row["caption"].strip()


def tacos(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """2D-TAN's dictionary with intervals in frames (divided by `fps`, to the millisecond), or VideoMind's lines;
    ViubenchError for both or two places at once."""
    seen: Counter[str] = Counter()
    for file in one_place(files):
        rows = _of_frames(file.content) if isinstance(file.content, dict) else file.content
        for index, row in enumerate(rows):
            yield {
                "vid": row["vid"],
                "place": seen[row["vid"]],
                "duration": float(row["duration"]),
                "query": row["query"].strip(),
                "relevant_windows": row["relevant_windows"],
                **file.place(index),
            }
            seen[row["vid"]] += 1


def _of_frames(videos: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """VideoMind's rows of 2D-TAN's dictionary."""
    for name, video in videos.items():
        fps = float(video["fps"])
        for span, sentence in zip(video["timestamps"], video["sentences"], strict=True):
            window = [round(frame / fps, 3) for frame in span]
            about = {"vid": PurePosixPath(name).stem, "duration": video["num_frames"] / fps}
            yield about | {"query": sentence, "relevant_windows": [window]}


def one_place(files: Sequence[RowFile]) -> Sequence[RowFile]:
    """`files`; ViubenchError when they are of several layouts, or lie in several folders: one is a copy."""
    if len({PurePosixPath(file.path).parent for file in files}) > 1:
        message = f"the same rows lie here in several places: {', '.join(file.path for file in files)}"
        raise ViubenchError(message, where=str(files[0].folder), hint="keep one of them")
    return one_layout(files)


def one_layout(files: Sequence[RowFile]) -> Sequence[RowFile]:
    """`files`; ViubenchError when they are of several layouts (text, dictionary, list of rows), which would count every
    row twice."""
    if len({type(file.content) for file in files}) > 1:
        message = f"the same rows lie here in several layouts: {', '.join(file.path for file in files)}"
        raise ViubenchError(message, where=str(files[0].folder), hint="keep one of them")
    return files
