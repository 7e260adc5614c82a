"""What saved reference runs hold, as tables for a terminal.

Example:
    print(one(Path("baselines/main")))
    # main: Qwen3-VL-8B (vllm), run on 2026-01-31T12:00:00+00:00
    # ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    for one in map(about, paths):
        parts = [short_line(str(one.get(key, ""))) for key in ("model", "engine", "run on")]
        changed = ", ".join(f"{name} is {how}" for name, how in one["changed"].items())
        tasks = str(len(one["scores"])) if "scores" in one else ""
        rows.append([one_line(one["baseline"]), *parts, tasks, changed or "as saved"])
    return table(rows, ["baseline", "model", "engine", "run on", "tasks", "files"], ["left"] * 6)


def about(path: Path) -> dict[str, Any]:
    """What one reference run holds, as JSON data; where it cannot be read only its name, and which files changed."""
    named = {"baseline": path.name, "changed": dict(changes(path))}
    try:
        manifest, results = read_manifest(path), read_results(path)
    except ViubenchError:
        return named
    scores = {name: task.value for name, task in results.tasks.items()}
    run = {"model": results.model, "engine": results.engine, "run on": manifest.started}
    return {**named, **run, "scores": scores}
