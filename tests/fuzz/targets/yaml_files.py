"""Task files, as YAML that may be anything.

Example:
    once(b"task: [")
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.schema import Protocol
from viubench.storage import strict_yaml
from viubench.tasks.registry import BUILT_IN, load_task

FOLDER = tempfile.TemporaryDirectory(prefix="viubench-fuzz-")
FILE = Path(FOLDER.name) / "task.yaml"

ODD = (
    b"a: &a [*a]", b"!!int foo", b"0b_", b"9" * 5000, b"a: !!python/object:os.system {}", b"? [a]\n: b", b"<<: *x",
    b"--- \n...\n---", b"a: 2026-13-45", b"a: .inf", b"{a: {b: {c: [1, 2, {d: e}]}}}", b"a: |\n  x\n b", b"\xff\xfe",
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    yield from ODD
    for path in sorted(BUILT_IN.rglob("*.yaml"))[::4]:
        yield path.read_bytes()


def once(data: bytes) -> None:
    FILE.write_bytes(data)
    for load in (load_task, lambda file: strict_yaml.load(file, Protocol)):
        with suppress(ViubenchError):
            load(FILE)
