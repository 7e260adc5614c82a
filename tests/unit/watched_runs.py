"""What a watch is tested with: runs of a checkpoint without an engine, lines of a history, a clock, a page in words.

Example:
    run_of(tmp_path / "run", folders.write(tmp_path / "checkpoint-1"), share=0.25)
"""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import Any

import paired_runs

from viubench.engines.checkpoints import fingerprint
from viubench.schema import WatchEntry
from viubench.storage.run_dir import read_manifest, write_json

OPTIONS = ["--tasks", "items"]
HOSTILE = "</style><img src=x onerror=alert(1)>\x1b[31m\u202e"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_of(run: Path, model: Path, share: float = 0.5, n: int = 40, **more: Any) -> Path:
    """A finished run of this model: so many of its answers are right, on two tasks."""
    rows = paired_runs.rows([float(k < share * n) for k in range(n)])
    aside = run.with_name(run.name + ".made")
    paired_runs.write(aside, {"t": rows, "u": rows}, model=model.name, **more)
    manifest = read_manifest(aside)
    about = {"name": model.name, "fingerprint": fingerprint(model)}
    write_json(aside / "manifest.json", manifest.model_copy(update={"model": about}))
    shutil.rmtree(run, ignore_errors=True)
    aside.rename(run)
    return run


def entry(step: int = 1, status: str = "evaluated", **more: Any) -> WatchEntry:
    base: dict[str, Any] = {
        "step": step, "name": f"checkpoint-{step}", "path": f"/x/{step}", "fingerprint": "f", "status": status,
        "options": OPTIONS, "run": f"runs/{step}",
    }  # fmt: skip
    return WatchEntry.model_validate(base | more)


def words(page: str) -> str:
    """What a reader of the page sees."""
    body = page.partition("</style>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
