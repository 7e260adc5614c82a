"""Inputs for a target, one after the other: guided by coverage where atheris is installed, else drawn from seeds.

Example:
    plain("answers", runs=1000)
"""

from __future__ import annotations

import importlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGETS = ("answers", "yaml_files", "records", "replies", "imports", "videos")
CORPUS = Path(__file__).with_name("corpus")
"""Inputs that once did what none may, in a folder for each target."""

SLOW_S, MEMORY_MB, LONGEST = 10, 2048, 1 << 16
"""Bounds of one input: seconds, memory of the process, bytes."""

TOKENS = (
    *(b"\x00", b"\n", b"\xff", b"{", b"[", b'"', b",", b"\\u0000", b"9" * 40, b"-1", b"1e999", b"nan", b"null"),
    *(b" " * 80, b"<think>", b"</think>", b": ", b"- ", b"&a ", b"*a", b"\xef\xbb\xbf", "答".encode(), b"A"),
)


def load(name: str) -> Any:
    return importlib.import_module(f"tests.fuzz.targets.{name}")


def inputs(name: str) -> Iterator[bytes]:
    """The target's seeds, and its corpus."""
    yield from load(name).seeds()
    yield from (path.read_bytes() for path in sorted((CORPUS / name).glob("*")))


def plain(name: str, runs: int, seed: int = 0, seconds: float = float("inf"), slow: float = float("inf")) -> int:
    """Seeds, then as many mutations of them or more: `runs` inputs in all, or as many as there is time for; their
    number. An input that fails, or takes `slow` processor seconds, is written to the temporary folder, and named in
    the error."""
    target, rng, began = load(name), random.Random(seed), time.monotonic()
    known = list(inputs(name))
    first = known if len(known) <= runs // 2 else rng.sample(known, runs // 2)
    for number in range(runs):
        data = first[number] if number < len(first) else mutated(rng, known)
        started = time.process_time()
        try:
            target.once(data)
            if time.process_time() - started > slow:
                raise TimeoutError("it took too long")
        except BaseException as error:
            kept = Path(tempfile.gettempdir()) / f"fuzz-{name}-{seed}-{number}"
            kept.write_bytes(data)
            error.add_note(f"the input is in {kept}")
            raise
        if time.monotonic() - began > seconds:
            return number + 1
    return runs


def mutated(rng: random.Random, known: list[bytes]) -> bytes:
    """A known input with a few changes: bits, bytes, pieces of others, odd pieces, repetitions, cuts."""
    data = bytearray(rng.choice(known))
    for _ in range(rng.randint(1, 6)):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        how = rng.randrange(7)
        if how == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif how == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif how == 2:
            data[at:at] = rng.choice(TOKENS) * rng.choice([1, 1, 1, 3, 50])
        elif how == 3:
            other = rng.choice(known)
            start = rng.randrange(len(other) + 1)
            data[at:at] = other[start : start + rng.randrange(1, 200)]
        elif how == 4:
            del data[at : min(end, at + rng.choice([1, 4, 30, 1000]))]
        elif how == 5:
            data[at:at] = data[at : min(end, at + 100)] * rng.choice([1, 2, 8])
        else:
            del data[rng.randrange(len(data) + 1) :]
    return bytes(data[:LONGEST])


def guided(name: str, runs: int, seconds: int, corpus: Path | None) -> None:
    """Guided by the coverage of viubench and its evaluators, for so many inputs and seconds, -1 and 0 for no limit.
    It ends the process, with an exit code above 0 for an input that fails, which is written to the working folder;
    what is new goes to `corpus`."""
    import atheris

    with atheris.instrument_imports(include=["viubench", "evaluators"]):
        target = load(name)
    with tempfile.TemporaryDirectory(prefix="viubench-fuzz-") as seeds:
        for number, data in enumerate(inputs(name)):
            Path(seeds, str(number)).write_bytes(data)
        options = [f"-runs={runs}", f"-max_total_time={seconds}", f"-timeout={SLOW_S}", f"-rss_limit_mb={MEMORY_MB}",
                   f"-max_len={LONGEST}", "-print_final_stats=1"]  # fmt: skip
        atheris.Setup([sys.argv[0], *options, *([str(corpus)] if corpus else []), seeds], target.once)
        atheris.Fuzz()
