"""What an import costs: seconds and memory for a file of many answers, of which the task asks only some.

Example:
    >>> print(table([measure(100_000, 2_000)]))     # doctest: +SKIP
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

CODE = """
import resource, sys, time, viubench
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
viubench.import_answers(sys.argv[1], "videomme", data_root=sys.argv[2], out=sys.argv[3], max_errors=1)
print(time.monotonic() - began, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True)
class ImportRow:
    """A file's answers and size in MB, the seconds of its import, and the highest memory in MB."""

    answers: int
    megabytes: float
    seconds: float
    memory: float


def measure(answers: int, questions: int, response: int = 2000) -> ImportRow:
    """Import a JSONL file of `answers` lines to a task of `questions`, responses of so many characters."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = root / "data" / "videomme" / "videomme"
        data.mkdir(parents=True)
        letters = "ABCD"
        with (data / "test.jsonl").open("w") as rows:
            for number in range(questions):
                rows.write(json.dumps(_row(number, letters[number % 4])) + "\n")
        with (root / "answers.jsonl").open("w") as lines:
            for number in range(answers):
                said = f"{'It moves slowly. ' * (response // 17)}\nAnswer: {letters[number % 4]}"
                row = {"doc_id": number, "input": _question(number), "target": letters[number % 4]}
                lines.write(json.dumps({**row, "filtered_resps": said, "score": 1.0}) + "\n")
        size = (root / "answers.jsonl").stat().st_size
        words = [sys.executable, "-c", CODE, root / "answers.jsonl", root / "data", root / "run"]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        seconds, _, memory = map(float, done.stdout.split())
    return ImportRow(answers, round(size / 1e6, 1), round(seconds, 1), round(memory / 1024, 1))


def _question(number: int) -> str:
    return f"How often does shape {number} pass house {number * 7} before noon?"


def _row(number: int, letter: str) -> dict[str, object]:
    about = {"duration": "short", "domain": "Knowledge", "sub_category": "Geography", "task_type": "Counting"}
    options = [f"{one}. {place} times" for place, one in enumerate("ABCD")]
    ids = {"videoID": f"v{number // 3}", "question_id": f"{number // 3:04d}-{number % 3}"}
    return {**about, **ids, "question": _question(number), "options": options, "answer": letter}


def table(rows: list[ImportRow]) -> str:
    """For a terminal."""
    lines = [[row.answers, f"{row.megabytes:.0f}", f"{row.seconds:.1f}", f"{row.memory:.0f}"] for row in rows]
    return tabulate(lines, ["answers", "MB", "s", "memory, MB"], disable_numparse=True)
