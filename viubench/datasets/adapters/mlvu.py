"""MLVU dev: the publisher's JSON file per task, or the repack of one table with the options inside the question.

Example: a row of `json/2_needle.json` gives

    {"task_type": "findNeedle", "path": "2_needle/needle_7.mp4", "question": "...", "options": ["A. ...", ...], ...}

Where both lie in the folder, the publisher's are read and the repack, which holds the same questions, is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.datasets.choices import letter_of, lettered

SAME_TASK = {"needle": "findNeedle"}
"""lmms-eval's name of a task -> the publisher's."""


def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question: `task_type`, `path` (below the video folder), `question`, `options` (a list, or the
    repack's question that holds them), `answer` (a letter), and `published`, the question with its options in one text.

    Raises ValueError for an answer that is none of its candidates.
    """
    by_task = [file for file in files if file.content and "candidates" in file.content[0]]
    for file in by_task or files:
        for index, row in enumerate(file.content):
            if by_task:
                options = lettered(row["candidates"])
                lines = [f"({option[0]}) {option[3:]}" for option in options]
                own = {
                    "path": f"{file.stem}/{row['video']}",
                    "options": options,
                    "answer": letter_of(row["candidates"], row["answer"]),
                    "published": "\n".join([row["question"], *lines]),
                }
            else:
                own = {"path": row["video_name"], "options": row["question"], "published": row["question"]}
            task = row["question_type" if by_task else "task_type"]
            yield row | own | {"task_type": SAME_TASK.get(task, task), **file.place(index)}
