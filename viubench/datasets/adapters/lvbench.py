"""LVBench: the publisher's file of one line per video with all its questions, or the repack of one row per question.

Example:
    >>> from pathlib import Path
    >>> line = {"key": "v1", "type": "sport", "qa": [{"uid": "7", "question": "Who?", "question_type": ["reasoning"]}]}
    >>> next(adapt([RowFile("video_info.meta", "video_info.meta.jsonl", Path(), [line])]))["uid"]
    '7'

Where both lie in the folder, the publisher's is read and the repack, which holds the same questions, is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from viubench.datasets.adapters import RowFile


def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question: `uid`, `question` (options inside), `answer`, `question_type` (a list), `time_reference`,
    and `key`, `type`, `video_info` of its video; `video_path` is the repack's, else the key."""
    nested = [file for file in files if any("qa" in line for line in file.content)]
    for file in nested or files:
        for index, line in enumerate(file.content):
            video = {name: value for name, value in line.items() if name != "qa"}
            for question in line["qa"] if nested else [{}]:
                row = video | question
                types = row["question_type"]
                yield row | {
                    "video_path": row.get("video_path") or row["key"],
                    "question_type": [types] if isinstance(types, str) else list(types),
                    **file.place(index),
                }
