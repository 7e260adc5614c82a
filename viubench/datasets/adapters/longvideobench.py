"""LongVideoBench: the parquet rows with columns `option0` to `option4`, or `lvb_val.json` with a list of candidates.

Example: the row {"option0": "A lamp", "option1": "A cup", "option2": "N/A", ..., "correct_choice": 1} also gets

    {"options": ["A. A lamp", "B. A cup"], "letter": "B"}

Where both lie in the folder, as in the publisher's, only the parquet is read: the JSON holds the same questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.datasets.choices import lettered

COLUMNS = 5
PADDING = "N/A"


def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question: the publisher's fields, `option0` to `option4` padded with "N/A" whatever the layout,
    `options` without the padding, lettered, and `letter`. Raises ValueError where the true choice is none of them.
    """
    parquet = [file for file in files if file.content and "option0" in file.content[0]]
    for file in parquet or files:
        for index, row in enumerate(file.content):
            texts = [row[f"option{i}"] for i in range(COLUMNS)] if parquet else row["candidates"]
            texts = [text for text in texts if text != PADDING]
            choice = row["correct_choice"]
            if not 0 <= choice < len(texts):
                raise ValueError(f"{file.path}, row {index}: choice {choice} of {len(texts)} options")
            padded = [*texts, *[PADDING] * COLUMNS][:COLUMNS]
            yield {
                **row,
                **{f"option{i}": text for i, text in enumerate(padded)},
                "options": lettered(texts),
                "letter": ascii_uppercase[choice],
                **file.place(index),
            }
