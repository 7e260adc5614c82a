"""Faults of disks: run folder, frame cache or the folder of temporary files is full, or cannot be written to."""

from __future__ import annotations

import os
import random
import stat

from tests.bench.faults import mounts
from tests.bench.faults.command import Limits
from tests.bench.faults.fault import Fault
from tests.bench.faults.program import Program
from tests.bench.faults.world import FOLDERS, Place


class Full(Fault):
    """A disk takes no more, from the start or from some moment on, and may take more again. Without small disks a
    limit on the size of files stands for all of them."""

    kinds = tuple(f"full {name}" for name in FOLDERS)
    acts = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.free = int(2 ** rng.uniform(0, 17)) - 1
        self.later = rng.random() < 0.4
        self.until = rng.random() < 0.3

    def before(self, place: Place) -> None:
        if place.world.small_disks and not self.later:
            self._fill(place)

    def limits(self) -> Limits:
        return Limits() if mounts.allowed() else Limits(size=self.free)

    def during(self, program: Program, place: Place) -> None:
        if not place.world.small_disks:
            return
        if self.later and self.moment(program):
            self._fill(place)
        if self.until and self.moment(program):
            self.after(place)

    def _fill(self, place: Place) -> None:
        mounts.fill(place.folder / self.kind.split()[1], self.free)

    def after(self, place: Place) -> None:
        if place.world.small_disks:
            mounts.empty(place.folder / self.kind.split()[1])


class ReadOnly(Fault):
    """A folder that cannot be written to."""

    kinds = tuple(f"read-only {name}" for name in FOLDERS)

    @classmethod
    def possible(cls, small_disks: bool) -> bool:
        return small_disks or os.getuid() != 0

    def before(self, place: Place) -> None:
        self._set(place, True)

    def after(self, place: Place) -> None:
        self._set(place, False)

    def _set(self, place: Place, on: bool) -> None:
        folder = place.folder / self.kind.split()[1]
        if place.world.small_disks:
            mounts.read_only(folder, on)
            return
        for path in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
            path.chmod(stat.S_IRUSR | stat.S_IXUSR | (0 if on else stat.S_IWUSR))
