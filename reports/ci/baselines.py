"""What saved reference runs hold, as tables for a terminal.

Example:
    print(one(Path("baselines/main")))
    # main: Qwen3-VL-8B (vllm), run on 2026-01-31T12:00:00+00:00
    # ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.html.escape import NAME_LENGTH, one_line, short_line
from reports.html.format import percent
from reports.tables.terminal import table
from viubench.errors import ViubenchError
from viubench.storage.reference_run import changes
from viubench.storage.run_dir import read_manifest, read_results


def one(path: Path) -> str:
    """The model, engine and scores of one reference run."""
    manifest, results = read_manifest(path), read_results(path)
    rows = [
        [
            one_line(name[:NAME_LENGTH]),
            percent(task.value),
            f"{percent(task.ci[0])} to {percent(task.ci[1])}",
            task.n,
            short_line(f"{task.protocol} {task.protocol_hash}".strip()),
        ]
        for name, task in results.tasks.items()
    ]
    heads = ["task", "score", "95 % interval", "n", "protocol"]
    title = f"{one_line(path.name)}: {short_line(results.model)} ({short_line(results.engine)})"
    started = f", run on {short_line(manifest.started)}" if manifest.started else ""
    shown = table(rows, heads, ("left", "right", "right", "right", "left"))
    return f"{title}{started}\n{shown}"


def every(paths: Sequence[Path]) -> str:
    """A row for each reference run, and whether its files are as they were saved."""
    rows = []
    for path in paths:
        changed = ", ".join(f"{name} is {how}" for name, how in changes(path).items())
        try:
            manifest, results = read_manifest(path), read_results(path)
        except ViubenchError:
            rows.append([one_line(path.name), "", "", "", "", changed])
            continue
        parts = [short_line(value) for value in (results.model, results.engine, manifest.started)]
        rows.append([one_line(path.name), *parts, str(len(results.tasks)), changed or "as saved"])
    return table(rows, ["baseline", "model", "engine", "run on", "tasks", "files"], ["left"] * 6)
