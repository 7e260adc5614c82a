"""What building the pretext items costs: ours beside the straightforward way, and memory by the number of items.

Example:
    >>> rows = measure(Path("videos"), tasks, recipe, sample=270)  # doctest: +SKIP
    >>> [row.what for row in rows]  # doctest: +SKIP
    ['built, cold', 'built, warm', 'shown frames, ours', 'shown frames, straightforward', ...]

Ours: the whole recipe is built by one worker process, with an empty frame cache (cold) and a full one (warm), every
item drawn and proved answerable. That decodes each video once and makes no shown frames: those are made when an item is
loaded, which is timed by itself. The straightforward way (`straightforward`) opens the video of every item and makes
its frames one by one; it draws, checks and writes nothing, so the comparison is in its favour. Where a sample is
smaller than the whole, the seconds of its items are scaled to all, and the row says of how many they are.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import machine, straightforward
from viubench.pretext.build import build
from viubench.pretext.generate import apply, sample_of
from viubench.schema import Item, Recipe, Task
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

SCALES = (0.1, 1.0, 10.0)
"""Shares of the recipe's items whose memory is measured."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class BuildRow:
    """Seconds for `items` items, extrapolated from `timed` of them; peak resident memory in 10^6 bytes, of the process
    and of its worker. None: not measured."""

    what: str
    items: int
    timed: int
    seconds: float
    peak_mb: float | None = None
    worker_mb: float | None = None


def measure(
    videos: Path,
    recipe: str,
    *,
    sample: int,
    scales: tuple[float, ...] = SCALES,
    seed: int = 0,
    progress: Progress = lambda done, total, note: None,
) -> list[BuildRow]:
    """Build `recipe` from the videos below `videos`, both ways.

    Args:
        recipe: name or file; its perturbations must be known to `straightforward`.
        sample: items, drawn by `seed`, that are made the straightforward way and by ours.
        scales: shares of the recipe's items to build for the memory rows; empty for none.
    """
    rows = []
    steps = 4 + len(scales)
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        for number, what in enumerate(("built, cold", "built, warm")):
            progress(number, steps, what)
            rows.append(_built(what, videos, recipe, 1.0, scratch))
        lines = (Path(scratch) / "items.jsonl").read_bytes().splitlines()
        items = [Item.model_validate_json(line) for line in lines]
        drawn = random.Random(seed).sample(items, min(sample, len(items)))
        catalogue = Catalogue()
        chosen = catalogue.recipe(recipe)
        store = FrameCache(Path(scratch) / "frames")
        progress(2, steps, "shown frames, ours")
        seconds, size_of = _loaded(drawn, catalogue.tasks_of(chosen), chosen, videos, store)
        share = len(items) / len(drawn)
        rows.append(BuildRow("shown frames, ours", len(items), len(drawn), seconds * share))
        progress(3, steps, "shown frames, straightforward")
        seconds = straightforward.make_all(drawn, videos, size_of)
        rows.append(BuildRow("shown frames, straightforward", len(items), len(drawn), seconds * share))
        for number, scale in enumerate(scales, 4):
            progress(number, steps, f"memory, {scale:g} times the items")
            rows.append(_built("built, memory", videos, recipe, scale, scratch))
    return rows


def _built(what: str, videos: Path, recipe: str, scale: float, scratch: str) -> BuildRow:
    return BuildRow(what, **machine.in_child(__name__, videos, recipe, scale, scratch))


def _loaded(
    items: list[Item], tasks: dict[str, Task], recipe: Recipe, videos: Path, store: FrameCache
) -> tuple[float, dict[str, tuple[int, int]]]:
    """Seconds to make the shown frames from the store, and the frame size of each video."""
    size_of: dict[str, tuple[int, int]] = {}
    began = time.perf_counter()
    for item in items:
        sample = sample_of(item, tasks[item.task])
        shown = apply(
            item.params, item.seed, [store.get(clip, videos, recipe.sampling, recipe.check) for clip in sample.clips]
        )
        height, width = shown[0].pixels.shape[1:3]
        size_of[item.video] = (height, width)
    return time.perf_counter() - began, size_of


def ratios(rows: list[BuildRow]) -> dict[str, float]:
    """The straightforward seconds over ours: built cold, built warm, and built cold with every shown frame made."""
    seconds = {row.what: row.seconds for row in rows}
    theirs, cold = seconds["shown frames, straightforward"], seconds["built, cold"]
    return {
        "cold": theirs / cold,
        "warm": theirs / seconds["built, warm"],
        "cold and shown": theirs / (cold + seconds["shown frames, ours"]),
    }


def table(rows: list[BuildRow]) -> str:
    """The rows, then the ratios."""
    from tabulate import tabulate

    def memory(value: float | None) -> str:
        return "" if value is None else f"{value:,.0f}"

    lines = [
        [row.what, f"{row.items:,}", "all" if row.timed == row.items else f"{row.timed:,} drawn, scaled",
         f"{row.seconds:.1f}", memory(row.peak_mb), memory(row.worker_mb)]
        for row in rows
    ]  # fmt: skip
    head = ["", "items", "timed", "seconds", "peak MB", "worker's peak MB"]
    compared = ", ".join(f"{ratio:.1f} ({what})" for what, ratio in ratios(rows).items())
    aligned = ("left", *["right"] * 5)
    return (
        f"{tabulate(lines, headers=head, disable_numparse=True, colalign=aligned)}\nstraightforward / ours: {compared}"
    )


def main(videos: str, recipe: str, scale: str, scratch: str) -> None:
    """One build in a process of its own: prints items, seconds and peak memory."""
    catalogue = Catalogue()
    chosen = catalogue.recipe(recipe)
    entries = [entry.model_copy(update={"n": max(1, round(entry.n * float(scale)))}) for entry in chosen.items]
    began = time.perf_counter()
    out = Path(scratch) if float(scale) == 1 else Path(scratch) / f"scale-{scale}"
    report = build(
        chosen.model_copy(update={"items": entries}),
        catalogue.tasks_of(chosen),
        Path(videos),
        out,
        workers=1,
        cache=FrameCache(Path(scratch) / "frames"),
    )
    made = sum(report.built.values())
    print(json.dumps({
        "items": made, "timed": made, "seconds": round(time.perf_counter() - began, 3),
        "peak_mb": round(machine.peak_mb(), 1), "worker_mb": round(machine.children_peak_mb(), 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
