"""ActivityNet Captions: a dictionary or a list of videos, each with parallel lists of intervals and sentences.

Example: `{"v_a1": {"duration": 82.7, "timestamps": [[0.8, 21.4]], "sentences": [" Two men lift a boat."]}}` gives

    {"vid": "v_a1", "place": 0, "duration": 82.7, "query": "Two men lift a boat.", "relevant_windows": [[0.8, 21.4]]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.errors import ViubenchError


def activitynet(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per sentence, stripped, in file order; equal sentences of a video are all kept.

    `relevant_windows` holds one [start, end] in seconds, put in order where an annotator reversed it; an end beyond the
    video stays. `place` is the sentence's place in its video, from 0. The hub's copy is a list of videos that name
    themselves (`video_id`, or `video` with a suffix) where the original is a dictionary by video.

    Raises:
        ViubenchError: both copies at once, or a video with more sentences than intervals.
    """
    for file in one_layout(files):
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
                    "relevant_windows": [sorted(span)],
                    **file.place(index),
                }
                index += 1


def one_layout(files: Sequence[RowFile]) -> Sequence[RowFile]:
    """`files`, unless they are copies of one set in several layouts, which would count every row twice.

    Raises:
        ViubenchError: files of different kinds (text, dictionary, list of rows).
    """
    if len({type(file.content) for file in files}) > 1:
        raise ViubenchError(
            f"the same rows lie here in several layouts: {', '.join(file.path for file in files)}",
            where=str(files[0].folder),
            hint="keep one of them",
        )
    return files


def _videos(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(content, dict):
        yield from content.items()
        return
    for video in content:
        yield video.get("video_id") or PurePosixPath(video["video"]).stem, video
