"""What the viewer takes over a large run: from its start to the first list, the later lists, and its memory.

The viewer is a process of its own, asked over loopback as a browser would ask it; the run is drawn before.

Example:
    >>> measure(100_000).first_list_s < 1  # doctest: +SKIP
    True
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from tabulate import tabulate

from tests.bench import machine, page
from viubench.errors import ViubenchError

TASKS = 10
MOST_SECONDS, MOST_MB = 1.0, 500.0
"""Bounds for the first list of 100,000 samples, and for the memory of the viewer with all of its records read."""

PAUSE = 0.1
"""Seconds between two questions whether all is read."""

TRIES = 600
"""Questions until all records must be read."""


@dataclass(frozen=True)
class ViewRow:
    """One run.

    Attributes:
        samples: of the run, a record each; megabytes: of its records, in 10^6 bytes.
        first_list_s: seconds from asking for the first samples to having them, nothing read before; first_list_cpu_s:
            processor seconds of it, also of what is read on meanwhile.
        whole_s: seconds until all records were read.
        filtered_s, text_s: seconds of a list by task and status, and of one by a text that no record has, then.
        peak_mb: most resident memory of the viewer, in 10^6 bytes.
    """

    samples: int
    megabytes: float
    first_list_s: float
    first_list_cpu_s: float
    whole_s: float
    filtered_s: float
    text_s: float
    peak_mb: float


def measure(samples: int, progress: Callable[[int, int, str], None] = lambda done, total, note: None) -> ViewRow:
    """Draw a run of so many samples, and look at it."""
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        progress(0, 2, "the run is drawn")
        run = page.made(Path(scratch) / "run", 0, TASKS, samples // TASKS)
        size = (run / "records.jsonl").stat().st_size / 1e6
        progress(1, 2, "the viewer is asked")
        found = machine.in_child(__name__, run, name="the viewer")
    return ViewRow(samples // TASKS * TASKS, round(size, 1), **found)


def table(row: ViewRow) -> str:
    """For a terminal."""
    line = [f"{row.samples:,}", f"{row.megabytes:,.0f}", f"{row.first_list_s:.2f}", f"{row.first_list_cpu_s:.2f}",
            f"{row.whole_s:.2f}", f"{row.filtered_s:.2f}", f"{row.text_s:.2f}", f"{row.peak_mb:,.0f}"]  # fmt: skip
    headers = ["samples", "records, MB", "first list, s", "CPU s", "all read, s", "filtered, s", "text, s", "peak MB"]
    return tabulate([line], headers, disable_numparse=True, colalign=["right"] * len(headers))


def asked(run: Path) -> dict[str, float]:
    """Serve the run from this process, ask from a thread of it."""
    from reports.server.serve import serve

    addresses: list[str] = []
    ready, found = threading.Event(), dict[str, float]()

    def ask() -> None:
        ready.wait()
        try:
            found.update(_questions(addresses[0]))
        finally:
            import signal

            signal.raise_signal(signal.SIGINT)

    def opened(address: str) -> None:
        addresses.append(address)
        ready.set()

    asking = threading.Thread(target=ask)
    asking.start()
    serve([run], host="127.0.0.1", port=0, videos=[], cache=None, opened=opened)
    asking.join()
    return found


def _questions(address: str) -> dict[str, float]:
    base = address.split("?")[0]
    with httpx.Client(base_url=base, timeout=60) as reader:
        reader.get(address)
        worked = time.process_time()
        first, data = _timed(reader, "/samples.json")
        worked = time.process_time() - worked
        if len(data["samples"]) < 2:
            raise ViubenchError("the first list is empty", where="view")
        began = time.perf_counter()
        for _ in range(TRIES):
            if not data["looking"]:
                break
            time.sleep(PAUSE)
            _, data = _timed(reader, "/samples.json")
        whole = first + time.perf_counter() - began
        filtered, _ = _timed(reader, f"/samples.json?task={data['tasks'][0]}&status=failed")
        text, searched = _timed(reader, "/samples.json?text=no+record+says+this")
        while searched["looking"]:
            more, searched = _timed(reader, "/samples.json?text=no+record+says+this")
            text += more
    times = {
        "first_list_s": first,
        "first_list_cpu_s": worked,
        "whole_s": whole,
        "filtered_s": filtered,
        "text_s": text,
    }
    return {name: round(value, 3) for name, value in times.items()}


def _timed(reader: httpx.Client, path: str) -> tuple[float, dict[str, object]]:
    began = time.perf_counter()
    reply = reader.get(path)
    reply.raise_for_status()
    data = reply.json()
    return time.perf_counter() - began, data


if __name__ == "__main__":
    measured = asked(Path(sys.argv[1]))
    print(json.dumps(measured | {"peak_mb": round(machine.peak_mb(), 1)}))
