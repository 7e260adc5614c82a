"""Lines of a run folder: whatever they hold, they are repaired once, and can be read then.

Example:
    once(b'{"task": "t"\\n')
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.schema import FrameInfo, Manifest, Record, Results, ScoredRecord
from viubench.storage import record_log, run_dir

FOLDER = tempfile.TemporaryDirectory(prefix="viubench-fuzz-")
RUN = Path(FOLDER.name)


def seeds() -> Iterator[bytes]:
    frames = FrameInfo(indices=[0, 4], times=[0.0, 0.5], height=32, width=64, hash="ab")
    whole = Record(task="t", id="a", cluster="v", question="Which?", status="ok", response="A\n\u2028B", answer=[1.5],
                   scores={"accuracy": 1.0}, frames=frames, seconds={"engine": 0.1}, groups={"g": "h"})  # fmt: skip
    lines = [whole.model_copy(update=more).model_dump_json().encode() + b"\n" for more in
             ({}, {"id": "b"}, {"number": 1}, {"status": "engine_error", "scores": {}}, {"scores": {}})]  # fmt: skip
    yield b"".join(lines)
    yield lines[0][:40] + lines[1]
    yield lines[0] * 2 + lines[1][:-1]
    yield b"\n\n\x00\x00\n" + lines[2] + b"\xef\xbb\xbf" + lines[3]


def once(data: bytes) -> None:
    for name in (record_log.FILE, record_log.DAMAGED):
        (RUN / name).unlink(missing_ok=True)
    (RUN / record_log.FILE).write_bytes(data)
    try:
        before = {record.key for record in record_log.read(RUN, Record) if not record.retryable}
    except ViubenchError:
        before = set()
    done = record_log.repair(RUN).done
    assert before <= done
    kept = [record.key for record in record_log.read(RUN, Record)]
    assert len(kept) == len(set(kept))
    assert set(kept) == done
    assert sum(1 for _ in record_log.read(RUN, ScoredRecord)) == len(kept)
    again = record_log.repair(RUN)
    assert (again.done, again.damaged) == (done, 0)
    for name, model in (("manifest.json", Manifest), ("results.json", Results)):
        (RUN / name).write_bytes(data.partition(b"\n")[0])
        try:
            run_dir.read_file(RUN, name, model)
        except ViubenchError:
            continue
