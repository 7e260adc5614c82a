"""What a campaign runs: small clips and items, a few commands, and how each ends when nothing goes wrong.

Example:
    world = World(Path("scratch"))
    place = Place(world, world.subjects[0], Path("scratch/0"))
    place.outcome()        # "equal", once its run has ended well
"""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.faults import endpoint, mounts
from tests.bench.faults.command import Limits
from tests.bench.faults.program import Program
from viubench.api import tasks
from viubench.errors import ViubenchError
from viubench.storage import record_log
from viubench.video import synthetic

ITEMS = 24
"""Of each of the three tasks."""

DISK = 6 << 20
"""Bytes of each of the small disks: what a run needs, several times."""

FOLDERS = ("run", "cache", "tmp")

PRELOADED = ("viubench.cli.tables", "viubench.runner.evaluate", "viubench.engines.server", "reports.html.escape")
"""What a fork need not import again."""

Rows = dict[tuple[str, int], dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """A command that is put under faults; `server` where it asks one."""

    name: str
    words: tuple[str, ...]
    server: bool = False
    media: bool = True


SUBJECTS = (
    Subject("oracle", ("--engine", "oracle")),
    Subject("random", ("--engine", "random"), media=False),
    Subject(
        "server",
        ("--engine", "server", "--samples", "2", "--temperature", "0.5", "--max-errors", "0",
         "--engine-arg", "retries=2"),
        server=True,
    ),
)  # fmt: skip


class World:
    """Clips and items in `folder`, and the results of each subject that met no fault."""

    def __init__(self, folder: Path) -> None:
        for name in PRELOADED:
            import_module(name)
        self.folder = folder
        self.small_disks = mounts.allowed()
        self._expected: dict[str, tuple[bytes, Rows]] = {}
        synthetic.draw(folder / "clips", 4, 7, seconds=6, size=(64, 64), fps=8)
        self._build("items", seed=0)

    def _build(self, name: str, seed: int) -> Path:
        tasks.build_items("tiny", self.folder / "clips", self.folder / name, seed=seed, n=ITEMS)
        return self.folder / name

    @cached_property
    def other_items(self) -> Path:
        """Items of the same names that ask something else."""
        others = self._build("other", seed=1)
        ids = [json.loads(line)["id"] for line in (self.folder / "items" / "items.jsonl").read_text().splitlines()]
        rows = map(json.loads, (others / "items.jsonl").read_text().splitlines())
        renamed = [json.dumps(row | {"id": own}) for row, own in zip(rows, ids, strict=True)]
        (others / "items.jsonl").write_text("\n".join(renamed) + "\n")
        return others

    def expected(self, subject: Subject) -> tuple[bytes, Rows]:
        """The results and records of a subject that met no fault."""
        if subject.name not in self._expected:
            with Place(self, subject, self.folder / "whole") as place, place.served({}):
                program = place.start(Limits())
                if (code := program.end()) != 0:
                    said = program.said.read_text()
                    raise ViubenchError(f"a run without a fault ended with {code}: {said[-500:]}", where=subject.name)
                self._expected[subject.name] = place.results.read_bytes(), place.rows()[0]
        return self._expected[subject.name]


@dataclass
class Place(AbstractContextManager["Place"]):
    """Where one subject is run again and again: items, clips, cache and run folder of its own."""

    world: World
    subject: Subject
    folder: Path
    url: str = ""
    _disks: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Place:
        for name in ("items", "clips"):
            shutil.copytree(self.world.folder / name, self.folder / name)
        for name in FOLDERS:
            (self.folder / name).mkdir()
            if self.world.small_disks:
                mounts.disk(self.folder / name, DISK)
                self._disks.callback(mounts.unmount, self.folder / name)
        return self

    def __exit__(self, *_: object) -> None:
        self._disks.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def out(self) -> Path:
        return self.folder / "run" / "r"

    @property
    def records(self) -> Path:
        return self.out / record_log.FILE

    @property
    def results(self) -> Path:
        return self.out / "results.json"

    @property
    def began(self) -> bool:
        """Whether a manifest says what the run is, so that another one is refused."""
        return (self.out / "manifest.json").exists()

    def finished(self) -> int:
        """Lines of records."""
        return self.records.read_bytes().count(b"\n") if self.records.exists() else 0

    def served(self, script: dict[int, str]) -> AbstractContextManager[object]:
        """The server of the block, where the subject asks one; see `endpoint.serving`."""
        stack = ExitStack()
        if self.subject.server:
            self.url = stack.enter_context(endpoint.serving(script))
        return stack

    def start(self, limits: Limits, *, fresh: bool = False) -> Program:
        """Start the command."""
        words = [
            "run",
            "--tasks",
            str(self.folder / "items"),
            "--videos",
            str(self.folder / "clips"),
            *self.subject.words,
        ]
        if self.subject.server:
            words += ["--base-url", self.url, "--engine-arg", f"timeout={limits.timeout}"]
        words += ["--filmstrips", "1", "--out", str(self.out), "--quiet"]
        return Program(words, self.folder, self.records, limits, fresh=fresh)

    def outcome(self) -> str:
        """How a run that ended well compares with the one that met no fault."""
        expected, rows = self.world.expected(self.subject)
        found, doubled = self.rows()
        if doubled:
            return "doubled"
        if missing := rows.keys() - found.keys():
            return f"lost ({len(missing)} of {len(rows)})"
        if different := [key for key in found if found[key] != rows.get(key)]:
            return f"changed ({different[0][0]})"
        return "equal" if self.results.read_bytes() == expected else "changed (results.json)"

    def rows(self) -> tuple[Rows, int]:
        """The records without their times, and how many more lines there are than answers."""
        lines = [json.loads(line) for line in self.records.read_bytes().splitlines()]
        rows = {(line["id"], line.get("number", 0)): line | {"seconds": None} for line in lines}
        return rows, len(lines) - len(rows)
