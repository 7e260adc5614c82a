"""What a fault is: something done before a run is started, to its process, or while it runs, and undone after it.

Example:
    fault = Signals("SIGKILL", random.Random(0))
    fault.before(place)
    program = place.start(fault.limits())
    fault.during(program, place)
    fault.after(place)
"""

from __future__ import annotations

import random
from typing import ClassVar

from tests.bench.faults.command import Limits
from tests.bench.faults.program import Program
from tests.bench.faults.world import ITEMS, Place, Subject

ANSWERS = 3 * ITEMS


class Fault:
    """One fault of a kind, drawn by `rng`; most kinds have more than one form."""

    kinds: ClassVar[tuple[str, ...]]  # names in the tally
    acts: ClassVar[bool] = False  # whether it does something while the program runs
    follows: ClassVar[bool] = False  # whether it does something to what an earlier start has left
    refused = ""  # words of the message that is the right end of a run while the fault lasts; set by `before`

    def __init__(self, kind: str, rng: random.Random) -> None:
        self.kind = kind
        self.rng = rng

    @classmethod
    def meets(cls, subject: Subject) -> bool:
        """Whether the subject can have it."""
        return True

    @classmethod
    def possible(cls, small_disks: bool) -> bool:
        """Whether it can be done on this machine."""
        return True

    def before(self, place: Place) -> None:
        """Change files, before the start."""

    def limits(self) -> Limits:
        """What the program is started with."""
        return Limits()

    def script(self) -> dict[int, str]:
        """Which requests its server fails, and how."""
        return {}

    def during(self, program: Program, place: Place) -> Program | None:
        """Act while the program runs; another program that was started is returned."""
        return None

    def after(self, place: Place) -> None:
        """Undo what would not go away by itself."""

    def moment(self, program: Program) -> bool:
        """Wait for some moment of the run; False where it ended before."""
        if self.rng.random() < 0.6:
            return program.until(records=self.rng.randrange(ANSWERS))
        return program.until(seconds=self.rng.uniform(0, 2.5))


def text(fault: Fault) -> str:
    """Its kind, and what was drawn for it."""
    drawn = {name: value for name, value in vars(fault).items() if name not in ("kind", "rng") and name[0] != "_"}
    return f"{fault.kind} {drawn}" if drawn else fault.kind
