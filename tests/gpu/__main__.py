"""Run the parts one after the other, each in a process with a time limit, and put their figures down.

Example:
    python -m tests.gpu runs/gpu --device cpu --shape tiny

Nothing but the standard library is imported here, so that a machine without a package is told which.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from tests.gpu.parts import Part, planned

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("torch", "torchvision", "transformers", "accelerate", "safetensors", "trl", "peft", "datasets", "psutil")

Row = dict[str, Any]


def main() -> int:
    """Exit code 0 when every part gave its figures, else 1."""
    options = _options()
    if options.part:
        module, name, settings, result = options.part
        Path(result).write_text(json.dumps(getattr(import_module(module), name)(**json.loads(settings))))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if lost := missing():
        print(f"missing in {sys.executable}: {', '.join(lost)}; the parts that need them will fail")
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    scratch = Path(tempfile.mkdtemp(prefix="viubench-gpu-"))
    rows: list[Row] = []
    try:
        register(scratch / "site")
        for part in planned(options.shape, options.device, scratch):
            rows.append(run(part, rows, scratch, options.out, deadline - time.monotonic()))
            print(f"{rows[-1]['part']}: {rows[-1]['outcome']}, {rows[-1]['seconds']} s", flush=True)
            text = json.dumps({"argv": sys.argv[1:], "missing": lost, "parts": rows}, indent=1)
            (options.out / "results.json").write_text(f"{text}\n")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n{tables(rows)}\n\n{options.out / 'results.json'}")
    return int(any(row["outcome"] != "done" for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/gpu/run.sh", description="What one large GPU does with this checkout.")
    parser.add_argument("out", nargs="?", type=Path, default=Path("runs/gpu"), help="folder for results.json and logs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--shape", choices=("large", "tiny"), default="large", help="2B and 8B, or a tiny model")
    parser.add_argument("--minutes", type=float, default=8.5, help="for all parts together")
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def missing() -> list[str]:
    """The packages of pyproject.toml that the parts import and that are not installed."""
    names = [*(one.split(">")[0] for one in PROJECT["dependencies"]), *EXTRAS]
    installed = {(one.metadata["Name"] or "").lower().replace("_", "-") for one in metadata.distributions()}
    return [name for name in names if name.replace("_", "-") not in installed]


def register(site: Path) -> None:
    """Where viubench is not installed, name its plug-ins to processes that have `site` in their path."""
    if metadata.entry_points(group="viubench.engines"):
        return
    about = site / "viubench-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: viubench\nVersion: 0\n")
    groups = PROJECT["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in one.items()) for group, one in groups]
    (about / "entry_points.txt").write_text("\n".join(lines))


def run(part: Part, rows: list[Row], scratch: Path, out: Path, left: float) -> Row:
    """What became of a part, with `left` seconds for all: figures under `found`, and `outcome`: "done" or why not."""
    row: Row = {"part": part.name, "outcome": "done", "seconds": 0.0, "found": {}}
    done = {before["part"] for before in rows if before["outcome"] == "done"}
    if lost := [name for name in part.needs if name not in done]:
        return row | {"outcome": f"not run, without {lost[0]!r}"}
    if left < min(20, part.seconds):
        return row | {"outcome": "not run, no time was left"}
    began, result, limit = time.monotonic(), scratch / "result.json", min(part.seconds, left)
    log = out / f"{part.name.replace(',', '').replace(' ', '-')}.log"
    call = ["-m", "tests.gpu", "--part", *part.function, json.dumps(part.settings), str(result)]
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *call], stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(scratch / "site"), *sys.path])},
        )  # fmt: skip
        try:
            if process.wait(limit):
                lines = log.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
                row["outcome"] = f"failed: {lines[-1][:200]}"
            else:
                row["found"] = json.loads(result.read_text())
        except subprocess.TimeoutExpired:
            row["outcome"] = f"stopped after {limit:.0f} s"
        finally:
            with suppress(ProcessLookupError):  # what it started, too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return row | {"seconds": round(time.monotonic() - began, 1)}


def tables(rows: list[Row]) -> str:
    """A table for each kind of part, a column for each measurement."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["found"] and row["part"] != "clips":
            kinds.setdefault(row["part"].split()[0], []).extend(row["found"].get("rows", [row["found"]]))
    return "\n\n".join(map(_table, kinds.values()))


def _table(found: list[dict[str, Any]]) -> str:
    lines = [[name, *(_cell(one[name]) for one in found)] for name in found[0]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if type(value) is int else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
