"""TACoS: 2D-TAN's dictionary with intervals in frames, or VideoMind's lines with seconds, as the same rows.

Example: `{"s9-d1.avi": {"timestamps": [[294, 588]], "sentences": ["She rinses."], "fps": 29.4, "num_frames": 2940}}`
gives

    {"vid": "s9-d1", "place": 0, "duration": 100.0, "query": "She rinses.", "relevant_windows": [[10.0, 20.0]]}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.datasets.adapters.captions import one_layout


def tacos(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per sentence, in file order; `place` is its place among those of its video, from 0.

    `duration` and `relevant_windows` are in seconds: frames divided by the video's `fps`, windows to the millisecond.
    Sentences recur within a video with other intervals, and some end after it; all stay.

    Raises:
        ViubenchError: both layouts at once.
    """
    seen: Counter[str] = Counter()
    for file in one_layout(files):
        queries = _frames(file.content) if isinstance(file.content, dict) else _seconds(file.content)
        for index, (vid, duration, windows, query) in enumerate(queries):
            yield {
                "vid": vid,
                "place": seen[vid],
                "duration": duration,
                "query": query,
                "relevant_windows": windows,
                **file.place(index),
            }
            seen[vid] += 1


Query = tuple[str, float, list[list[float]], str]


def _frames(videos: dict[str, Any]) -> Iterator[Query]:
    for name, video in videos.items():
        fps = float(video["fps"])
        for (start, end), sentence in zip(video["timestamps"], video["sentences"], strict=True):
            window = [round(start / fps, 3), round(end / fps, 3)]
            yield PurePosixPath(name).stem, video["num_frames"] / fps, [window], sentence.strip()


def _seconds(rows: Sequence[dict[str, Any]]) -> Iterator[Query]:
    for row in rows:
        yield row["vid"], float(row["duration"]), row["relevant_windows"], row["query"].strip()
