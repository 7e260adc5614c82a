"""Files as other harnesses write them, with the answers of a test; and imports of them.

Example:
    path = lmms_eval(tmp_path, samples, ["A", "(B)"], [1.0, 0.0])
    run = imported(tmp_path, [path], "videomme")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from example_rows import EXAMPLES

import viubench
from viubench.schema import Sample


def own_id(sample: Sample) -> str:
    return sample.id.removeprefix(f"{sample.task}-")


def lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def lmms_row(number: int, sample: Sample, text: str, score: float | None = None) -> dict[str, Any]:
    """A line of lmms-eval 0.7.3, which leaves the row of the data set out."""
    verdict = {"question_id": own_id(sample), "pred_answer": text[:1], "answer": sample.target}
    return {
        "doc_id": number,
        "input": sample.question.removeprefix("<video>\n"),
        "target": sample.target,
        "filtered_resps": text,
        "doc_hash": "abc",
        "videomme_perception_score": verdict if score is None else {**verdict, "score": score},
    }


def imported(folder: Path, files: Sequence[Path], task: str = "videomme", **options: Any) -> viubench.Run:
    return viubench.import_answers(files, task, data_root=EXAMPLES, out=folder / "run", **options)
