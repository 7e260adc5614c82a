"""Faults of processes: signals, decoders and engines that die or hang, a second run, few files, little memory."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

from tests.bench.faults.command import FAILURES, HANGS, Limits
from tests.bench.faults.fault import ANSWERS, Fault
from tests.bench.faults.program import LIMIT_S, Program
from tests.bench.faults.world import Place, Subject

SIGNALS = {
    "SIGKILL": [signal.SIGKILL], "SIGTERM": [signal.SIGTERM], "SIGTERM twice": [signal.SIGTERM] * 2,
    "SIGINT": [signal.SIGINT], "SIGINT twice": [signal.SIGINT] * 2, "SIGHUP": [signal.SIGHUP],
    "stop and continue": [signal.SIGSTOP, signal.SIGCONT],
}  # fmt: skip


class Signals(Fault):
    """Signals to the program, or to all its processes."""

    kinds = tuple(SIGNALS)
    acts = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.to_all = kind.startswith(("SIGINT", "stop")) or rng.random() < 0.3
        self.gap = round(rng.uniform(0, 0.4), 3)

    def during(self, program: Program, place: Place) -> None:
        if self.moment(program):
            for number in SIGNALS[self.kind]:
                program.signal(number, all_of_it=self.to_all)
                time.sleep(self.gap)


class Decoder(Fault):
    """A decoding process is killed, as for want of memory, or stopped."""

    kinds = ("decoder killed", "decoder hangs")
    acts = True

    @classmethod
    def meets(cls, subject: Subject) -> bool:
        return subject.media

    def limits(self) -> Limits:
        return Limits(decode=5.0) if self.kind == "decoder hangs" else Limits()

    def during(self, program: Program, place: Place) -> None:
        number = signal.SIGKILL if self.kind == "decoder killed" else signal.SIGSTOP
        for _ in range(self.rng.randint(1, 3)):
            while program.process.poll() is None and not (decoders := program.decoders()):
                time.sleep(0.005)
            if program.process.poll() is not None:
                return
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(decoders), number)
            time.sleep(self.rng.uniform(0, 0.3))


class Engine(Fault):
    """The engine dies or hangs; the user ends what hangs."""

    kinds = ("engine dies", "engine hangs")
    acts = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        hanging = {"hangs", "blocks"}
        self.how = rng.choice(sorted(hanging if kind == "engine hangs" else FAILURES.keys() - hanging))
        self.request = rng.randint(1, ANSWERS)
        self.ending = rng.choice([signal.SIGINT, signal.SIGTERM])

    @classmethod
    def meets(cls, subject: Subject) -> bool:
        return not subject.server

    def limits(self) -> Limits:
        return Limits(engine=self.how, request=self.request)

    def during(self, program: Program, place: Place) -> None:
        if self.kind == "engine dies":
            return
        while program.process.poll() is None and HANGS not in program.said.read_text(errors="replace"):
            if time.monotonic() - program.began > LIMIT_S / 4:  # it says nothing where its output is closed
                break
            time.sleep(0.02)
        for _ in range(1 + (self.how == "blocks")):  # Ctrl-C again: the first waits for a step that does not end
            program.signal(self.ending, all_of_it=self.ending == signal.SIGINT)
            time.sleep(0.2)


class Twice(Fault):
    """The same command is started a second time."""

    kinds = ("two runs",)
    acts = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.together = rng.random() < 0.5

    def during(self, program: Program, place: Place) -> Program | None:
        if not self.together:
            self.moment(program)
        return place.start(Limits())


class Short(Fault):
    """Few open files, little memory, or output that nobody takes. Without the memory for one more thread, Python
    itself may wait for that thread for ever."""

    kinds = ("few files", "little memory", "closed output")

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.value = rng.randint(8, 60) if kind == "few files" else int(2 ** rng.uniform(25, 30))
        self.streams = rng.choice([(1,), (2,), (1, 2)])

    def limits(self) -> Limits:
        if self.kind == "closed output":
            return Limits(closed=self.streams)
        return Limits(files=self.value) if self.kind == "few files" else Limits(memory=self.value)
