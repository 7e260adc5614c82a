"""Schedules of faults: drawn from a seed, played on a run, and judged by how the run ends after them.

Example:
    rows = run(runs=20, seed=0)
    rows[0].outcome, rows[0].faults
    # ('equal', ["SIGKILL {'to_all': False, 'gap': 0.1}", 'flipped bits'])
"""

from __future__ import annotations

import random
import re
import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.bench.faults import mounts
from tests.bench.faults.command import Limits
from tests.bench.faults.disks import Full, ReadOnly
from tests.bench.faults.fault import ANSWERS, Fault, text
from tests.bench.faults.files import Cache, OtherItems, OtherVideos, Records, RunFiles
from tests.bench.faults.processes import Decoder, Engine, Short, Signals, Twice
from tests.bench.faults.program import Program
from tests.bench.faults.serving import Server
from tests.bench.faults.world import SUBJECTS, Place, Subject, World
from viubench.errors import Exit, ViubenchError

FAULTS: tuple[type[Fault], ...] = (
    Signals, Decoder, Engine, Twice, Short, Full, ReadOnly, Records, Cache, OtherItems, OtherVideos, RunFiles, Server,
)  # fmt: skip
KINDS = tuple(kind for fault in FAULTS for kind in fault.kinds)

MOST = 4
"""Faults of a schedule."""

TRIES = 3
"""Starts without a fault in which a run has to end well."""

TOGETHER = 0.3
"""Chance that a fault comes together with the one before it."""

FRESH = 0.1
"""Share of starts that are a fresh Python, whose imports a signal can hit; all others are forks."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Played:
    """One schedule, which its seed draws again: what it did, what became of the run, and what the program said last
    where that is not `equal`.

    Attributes:
        kinds: of its faults.
        refused: the kinds that were answered by a refusal, as they have to be.
        tries: starts without a fault until the run had ended.
        outcome: "equal", or what is wrong: lost, doubled, changed, wrong (an end that looks well and is not), hung,
            crashed, processes left, not refused, stuck.
    """

    seed: str
    subject: str
    kinds: list[str]
    faults: list[str]
    refused: list[str]
    starts: int
    tries: int
    outcome: str
    said: str = ""


class Bad(Exception):
    """The schedule has found something; the second argument is what the program said."""


def run(
    runs: int, seed: int = 0, only: str | None = None, progress: Progress = lambda done, total, note: None
) -> list[Played]:
    """Play so many schedules; schedule i is drawn from "seed/i". `only` names one kind of fault, or the start of some.

    Raises:
        ViubenchError: no such kind, none that this machine can have, or a run without a fault that fails.
    """
    small = mounts.allowed()
    able = [fault for fault in FAULTS if fault.possible(small)]
    kinds = [kind for fault in able for kind in fault.kinds if kind.startswith(only or "")]
    if not kinds:
        raise ViubenchError(f"no such fault: {only}", where="--only", hint=", ".join(KINDS))
    rows = []
    with tempfile.TemporaryDirectory(prefix="vb-") as scratch:
        world = World(Path(scratch))
        for number in range(runs):
            rows.append(play(world, f"{seed}/{number}", kinds, Path(scratch) / "p"))
            progress(number + 1, runs, f"{sum(row.outcome != 'equal' for row in rows)} not equal")
    return rows


def draw(rng: random.Random, kinds: list[str]) -> tuple[Subject, list[list[Fault]]]:
    """A command, and the faults of each of its starts."""
    subject = rng.choices(SUBJECTS, (5, 2, 3))[0]
    able = [(fault, kind) for fault in FAULTS if fault.meets(subject) for kind in fault.kinds if kind in kinds]
    rounds: list[list[Fault]] = []
    for _ in range(rng.randint(1, MOST) if able else 0):
        fault, kind = rng.choice(able)
        one = fault(kind, random.Random(rng.getrandbits(64)))
        if rounds and rng.random() < TOGETHER and _fits(rounds[-1], one):
            rounds[-1].append(one)
        else:
            rounds.append([one])
    return subject, rounds


_EXTENSIONS = re.compile(r"^Extension modules: .*$", re.M)
"""The longest line of what a process prints that had to be killed, and of no use."""


def play(world: World, seed: str, kinds: list[str], folder: Path) -> Played:
    """Draw one schedule, play it, and judge it."""
    rng = random.Random(seed)
    subject, rounds = draw(rng, kinds)
    faults = [fault for together in rounds for fault in together]
    found = Played(seed, subject.name, [one.kind for one in faults], [text(one) for one in faults], [], 0, 0, "equal")
    with Place(world, subject, folder) as place:
        judge = Judge(place, rng)
        try:
            for together in rounds:
                judge.under(together)
            judge.alone()
            outcome, said = place.outcome(), ""
        except Bad as bad:
            outcome, said = bad.args
        return replace(found, refused=judge.refused, starts=judge.starts, tries=judge.tries, outcome=outcome,
                       said=_EXTENSIONS.sub("", said)[-4000:])  # fmt: skip


def _fits(others: list[Fault], one: Fault) -> bool:
    """Whether a fault can come together with others: one acts, none hides that another has to be refused, and none
    keeps another from its own writing."""
    alone = (OtherItems, RunFiles, ReadOnly)
    return not (one.acts and any(other.acts for other in others)) and not any(
        isinstance(fault, alone) for fault in (*others, one)
    )


class Judge:
    """Starts the command, with faults and without, and raises Bad where a start does what none may."""

    def __init__(self, place: Place, rng: random.Random) -> None:
        self.place = place
        self.rng = rng
        self.refused: list[str] = []
        self.starts = self.tries = 0

    def under(self, faults: list[Fault]) -> None:
        """One start with these faults at once."""
        limits, script = Limits(), {}
        if any(fault.follows for fault in faults) and not self.place.finished():
            self._unfinished()
        for fault in faults:
            fault.before(self.place)
            given = {name: value for name, value in asdict(fault.limits()).items() if value}
            limits = replace(limits, **given)
            script |= fault.script()
        with ExitStack() as stack:
            stack.enter_context(self.place.served(script))
            for fault in faults:
                stack.callback(fault.after, self.place)
            program = self._start(limits, fresh=self.rng.random() < FRESH)
            others = [other for fault in faults if (other := fault.during(program, self.place))]
            codes = [self._ended(one, faults) for one in (program, *others)]
        wanted = [fault for fault in faults if fault.refused]
        if wanted and codes[0] == Exit.OK:
            raise Bad(f"not refused ({wanted[0].kind})", program.said.read_text(errors="replace"))
        if not wanted and Exit.OK in codes and (outcome := self.place.outcome()) != "equal":
            raise Bad(f"wrong: {outcome}", program.said.read_text(errors="replace"))

    def _unfinished(self) -> None:
        """A start that is killed in the middle, so that there is something to damage."""
        with self.place.served({}):
            program = self._start(Limits())
            program.until(records=ANSWERS // 2)
            program.signal(signal.SIGKILL, all_of_it=True)
            self._ended(program, [])

    def alone(self) -> None:
        """Starts without a fault, until the run has ended well."""
        for self.tries in range(1, TRIES + 1):
            with self.place.served({}):
                program = self._start(Limits())
                if self._ended(program, []) == Exit.OK:
                    return
        raise Bad("stuck", program.said.read_text(errors="replace"))

    def _start(self, limits: Limits, *, fresh: bool = False) -> Program:
        self.starts += 1
        return self.place.start(limits, fresh=fresh)

    def _ended(self, program: Program, faults: list[Fault]) -> int:
        """The exit code of a program that ended as one may."""
        code = program.end()
        said = program.said.read_text(errors="replace")
        if code is None:
            raise Bad("hung", said)
        if left := program.left():
            raise Bad(f"processes left ({len(left)})", said)
        early = program.fresh and "viubench/cli/__init__.py" not in said  # Python itself, before our first line
        if not early and ("Traceback" in said or code in (Exit.NEGATIVE, Exit.BUG)):
            raise Bad(f"crashed ({code})", said)
        for fault in faults:
            if fault.refused and code != Exit.OK and fault.refused in said:
                self.refused.append(fault.kind)
        return code
