"""Files of answers that other harnesses wrote, of every format.

Example:
    once(b"\\x00[1, 2")
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from openpyxl import Workbook

from viubench.datasets.tables import Unreadable
from viubench.errors import ViubenchError
from viubench.imports.importing import Source

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".pkl", ".eval", ".parquet")
FOLDER = tempfile.TemporaryDirectory(prefix="viubench-fuzz-")

ROWS = (
    {"doc_id": 0, "filtered_resps": "B", "resps": [["B"]], "target": "B", "input": "Q", "videomme_score": 1.0,
     "input_media": [{"type": "video", "path": "a.mp4"}], "doc_hash": "x"},
    {"index": 3, "question": "Which?", "A": "x", "B": "y", "answer": "A", "prediction": "The answer is A.", "hit": 1},
    {"id": "1", "response": "A", "task": "t"},
    {"index": 0, "model": "m", "sample_score": {"score": {"value": {"acc": 1.0}, "prediction": "A"}}, "target": "A"},
    {"id": 1, "epoch": 1, "input": [{"role": "user", "content": "Q"}], "target": "A", "scores": {"choice":
     {"value": "C", "answer": "A"}}, "output": {"choices": [{"message": {"content": "A"}, "stop_reason": "stop"}]}},
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    yield b"\x00" + lines
    for row in ROWS:
        yield b"\x00" + json.dumps(row).encode()
        yield b"\x01" + json.dumps({"logs": [row], "results": [row]}).encode()
        for first, mark in ((b"\x02", ","), (b"\x03", "\t")):
            yield first + "\n".join(map(mark.join, (row, map(str, row.values())))).encode()
        yield b"\x05" + pickle.dumps({0: row})
    book, kept = Workbook(), io.BytesIO()
    book.active.append(list(ROWS[1]))
    book.active.append(list(ROWS[1].values()))
    book.save(kept)
    yield b"\x04" + kept.getvalue()
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("header.json", json.dumps({"eval": {"task": "t", "model": "m"}, "status": "success"}))
        archive.writestr("samples/1_epoch_1.json", json.dumps(ROWS[4]))
    yield b"\x06" + kept.getvalue()


def once(data: bytes) -> None:
    """The first byte says the ending of the file's name."""
    file = Path(FOLDER.name) / f"answers{ENDINGS[(data[0] if data else 0) % len(ENDINGS)]}"
    file.write_bytes(data[1:])
    try:
        for one in Source.open(file, None, {}).answers():
            assert one.reason if isinstance(one, Unreadable) else one.place
    except ViubenchError:
        return
