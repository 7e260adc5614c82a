"""Faults of a server: it is busy, fails, breaks off, answers rubbish, is slow or silent, for a while."""

from __future__ import annotations

import random
from typing import ClassVar

from tests.bench.faults.command import Limits
from tests.bench.faults.endpoint import FAILURES
from tests.bench.faults.fault import ANSWERS, Fault
from tests.bench.faults.world import Subject

SLOW = ("slow", "hang")


class Server(Fault):
    """Some requests fail."""

    kinds = ("server fails", "server breaks off", "server answers rubbish", "server is slow")
    forms: ClassVar = {
        "server fails": ("429", "500", "503", "400", "error", "abort"),
        "server breaks off": ("cut", "half", "lost"),
        "server answers rubbish": ("garbage", "nested", "empty", "null"),
        "server is slow": SLOW,
    }

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.how = rng.sample(self.forms[kind], rng.randint(1, len(self.forms[kind])))
        self.share = rng.choice([0.05, 0.3, 1.0]) if kind != "server is slow" else 0.05
        self.first = rng.randrange(2 * ANSWERS)
        self.number = rng.randint(1, ANSWERS)

    @classmethod
    def meets(cls, subject: Subject) -> bool:
        return subject.server

    def limits(self) -> Limits:
        return Limits(timeout=3.0) if self.kind == "server is slow" else Limits()

    def script(self) -> dict[int, str]:
        window = range(self.first, self.first + self.number)
        return {number: self.rng.choice(self.how) for number in window if self.rng.random() < self.share}


assert {how for forms in Server.forms.values() for how in forms} == FAILURES.keys() - {""}
