"""How the measurements of `viubench bench` are told: a table for the terminal, one JSON object for a file.

Example:
    show_peers(Path("clips"), None, Terms(), Path("peers.json"), quiet=False)
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabulate import tabulate

from viubench import atomic, tiny
from viubench.bench import peers, pipeline
from viubench.errors import ViubenchError
from viubench.planning import PACKAGES, versions
from viubench.pretext.listing import list_videos


def machine() -> dict[str, Any]:
    """Where a number was measured: cores, memory, versions."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "python": platform.python_version(),
        "packages": versions((*PACKAGES, "lmms-eval", "qwen-vl-utils")),
    }


def table(headers: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """Words to the left, numbers to the right."""
    sides = ["right" if all(_number(line[k]) for line in lines) else "left" for k in range(len(headers))]
    return tabulate(lines, list(headers), disable_numparse=True, colalign=sides)


def write(path: Path | None, found: Mapping[str, Any]) -> None:
    """The whole file, or a ViubenchError that names the option; nothing where no path was given."""
    if path is None:
        return
    try:
        atomic.write(path, f"{json.dumps({'machine': machine(), **found}, indent=1)}\n".encode(), lasting=True)
    except OSError as error:
        raise ViubenchError(f"cannot write {path}: {error.strerror}", where="--json") from None


def teller(quiet: bool) -> Callable[[str], None]:
    """Says on standard error what is being measured, or nothing."""
    return lambda what: None if quiet else print(what, file=sys.stderr, flush=True)


def show_pipeline(videos: Path, terms: pipeline.Terms, path: Path | None, *, quiet: bool) -> None:
    clips = [videos / name for name in list_videos(videos).videos if "/" not in name]
    if not clips:
        raise ViubenchError("there is no video in it", where=str(videos))
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        rows = pipeline.measure(clips, terms, Path(scratch), teller(quiet))
    lines = [
        [f"{row.pace:g}", *(f"{part:.2f}" for part in (row.decode, row.engine, row.run, row.share)), f"{row.idle:.0%}",
         str(row.peak_mb)]
        for row in rows
    ]  # fmt: skip
    print(f"{rows[0].answers} answers about {len(clips)} clips at {len(terms.pixels)} sizes; seconds by the clock")
    headers = ["engine / decoding", "decode alone", "engine alone", "run", "run / larger", "engine idle", "peak MiB"]
    print(table(headers, lines))
    write(path, {"settings": asdict(terms), "rows": [asdict(row) for row in rows]})


def show_peers(videos: Path, model: str | None, terms: peers.Terms, path: Path | None, *, quiet: bool) -> None:
    tell = teller(quiet)
    clips, left = peers.readable(videos, terms)
    for line in left:
        tell(f"left out: {line}")
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        if model is None:
            model = str(Path(scratch) / "tiny")
            tiny.write(Path(model))
        rows = peers.contest(clips, model, terms, tell)
    size = f"{terms.frames} frames of at most {terms.pixels} pixels, {terms.tokens}-token answers"
    print(f"{len(clips) - 1} clips, {size}, engine start excluded; ratio: theirs / ours\n{_peers_table(rows)}")
    print(f"\nOurs against its parts alone, in seconds\n{_floors_table(rows)}")
    found = {"settings": asdict(terms), "clips": [clip.name for clip in clips[:-1]]}
    write(path, found | peers.ratios(rows) | {"floors": list(peers.floors(rows)), "rows": [asdict(r) for r in rows]})


def _peers_table(rows: Sequence[peers.Row]) -> str:
    lines = []
    for row in rows:
        speed = f"{row.answers / row.seconds:.1f}" if row.answers else ""
        ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
        times = [f"{row.seconds:.2f}", speed, f"{row.cpu:.1f}"]
        lines.append([row.side, str(row.questions), row.ran, *times, str(row.peak_mb), ratio])
    headers = ["side", "questions a clip", "pass", "seconds", "answers/s", "CPU s", "peak MiB", "ratio"]
    return table(headers, lines)


def _floors_table(rows: Sequence[peers.Row]) -> str:
    lines = [
        [str(one["questions"]), *(f"{one[name]:.2f}" for name in ("cold", "decode", "engine")), f"{one['share']:.2f}"]
        for one in peers.floors(rows)
    ]
    return table(["questions a clip", "cold", "decode alone", "engine alone", "cold / larger"], lines)


def _number(text: Any) -> bool:
    try:
        return not text or float(text) is not None
    except ValueError:
        return False
