"""The gate of floors: whether the true score of a candidate is at least so high, whatever main has.

Example:
    report = gate([read(Path("runs/new"))], GateConfig(floors={"videomme": 0.62}), [read(Path("runs/main"))])
    report.verdict, report.tasks["videomme"].floor.alarm
    # ('pass', 0.598)

- `regress`: the true score is below the floor (one-sided p below alpha, Holm over the floors);
- `pass`: chance explains what is below it, or nothing is; the report says which true scores would be found;
- `inconclusive`: nothing says how far the score may be off; `error`: the runs must not be judged on this task.

So a candidate at or above all floors is blocked with a chance of alpha at most: see `viubench.stats.floors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from viubench.comparison.gate import CODES, overall
from viubench.comparison.pair import Incomparable, Side, identity, pair
from viubench.errors import Exit, ViubenchError, did_you_mean
from viubench.schema import FloorEvidence, GateConfig, GatedRun, GateReport, MainRuns, TaskVerdict, Verdict, utf8
from viubench.scoring.aggregate import rounded
from viubench.stats import floors
from viubench.stats.floor_plans import Noise
from viubench.stats.floors import FloorTest, Measured
from viubench.stats.paired_differences import holm, short_p
from viubench.version import __version__


@dataclass(frozen=True)
class FloorRun:
    """A run, or the results file of another harness, as far as a floor needs it.

    Attributes:
        tasks: what it measured; of a run folder a function that checks the task first, against another run's folder.
        faults: by task why that must not be judged.
        problem: why nothing of it can be.
    """

    run: GatedRun
    tasks: Mapping[str, Measured] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    side: Side | None = None

    @property
    def names(self) -> set[str]:
        """The tasks it has."""
        return {*self.tasks, *self.faults, *(self.side.results.tasks if self.side else ())}

    def measured(self, task: str, like: FloorRun, max_errors: float) -> Measured:
        """The score of a task that `like` has too, of the same questions; raises Incomparable."""
        if task in self.faults or task not in self.names:
            raise Incomparable(self.faults.get(task, f"{task!r:.80} is not in {self.run.path}"), where=self.run.path)
        if self.side is None:
            return self.tasks[task]
        compared = pair(like.side or self.side, self.side, task, max_errors=max_errors)
        return Measured(compared.value_b, tuple(compared.parts[1]))


def read(path: Path) -> FloorRun:
    """The run in a folder; raises ViubenchError where there is none, or a damaged one."""
    try:
        return FloorRun(identity(path), side=Side.read(path))
    except Incomparable as error:
        return FloorRun(identity(path), problem=error.message)


def gate(candidates: Sequence[FloorRun], config: GateConfig, main: Sequence[FloorRun] = ()) -> GateReport:
    """Judge the runs of a candidate against `config.floors`; those of main say how far runs of one model are apart.

    Raises:
        ViubenchError: a floor of a task that no run has (unless missing ones are to be skipped).
    """
    everything = [*candidates, *main]
    problems = [run.problem for run in everything if run.problem]
    known = set[str]().union(*(run.names for run in everything))
    for name in sorted(config.floors.keys() - known) if not problems and config.on_missing == "error" else ():
        hint = did_you_mean(name, known, f"the runs have {', '.join(sorted(known))}"[:300])
        raise ViubenchError(f"there is a floor for {name!r:.80}, which no run has", where="--floor", hint=hint)
    tests: dict[str, tuple[FloorTest, list[Measured], list[Measured]]] = {}
    faults: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for task in sorted(config.floors) if not problems else ():
        try:
            own, theirs = ([_same(run, task, everything[0], config) for run in runs] for runs in (candidates, main))
            _require_one_size([*own, *theirs], everything, task)
            tests[task] = floors.below(config.floors[task], own, theirs, config.alpha), own, theirs
        except Incomparable as error:
            missing = config.on_missing == "skip" and any(task not in run.names for run in everything)
            (skipped if missing else faults)[task] = f"{error.message} ({error.where})"
    tasks = _verdicts(tests, faults, config)
    verdict = overall(tasks, problems)
    return GateReport(
        viubench=__version__,
        verdict=verdict,
        exit_code=int(CODES[verdict] if config.blocks(verdict) else Exit.OK),
        problems=[utf8(problem) for problem in problems],
        baseline=main[0].run if main else None,
        candidate=candidates[0].run,
        runs=[run.run for run in (*candidates[1:], *main[1:])],
        config=config,
        tasks=tasks,
        skipped={task: utf8(why) for task, why in skipped.items()},
        mean=None,
    )


def _same(run: FloorRun, task: str, first: FloorRun, config: GateConfig) -> Measured:
    return run.measured(task, first, config.max_errors)


def _require_one_size(measured: Sequence[Measured], runs: Sequence[FloorRun], task: str) -> None:
    """Refuse runs of different numbers of questions, as far as these are known."""
    sizes = {questions(one): run.run.path for one, run in zip(measured, runs, strict=True) if one.parts}
    if len(sizes) > 1:
        said = ", ".join(f"{n} questions in {path}" for n, path in sorted(sizes.items()))
        raise Incomparable(f"{task!r:.80} has {said}"[:400], where="--floor", hint="judge runs of the same questions")


def questions(measured: Measured) -> int:
    """How many there are; 0 where that is not known."""
    return sum(len(scores) for _, scores, _ in measured.parts)


def _verdicts(
    tests: Mapping[str, tuple[FloorTest, list[Measured], list[Measured]]], faults: Mapping[str, str], config: GateConfig
) -> dict[str, TaskVerdict]:
    correct: Callable[[list[float]], list[float]] = holm if config.correction == "holm" else list
    found = {
        task: TaskVerdict(verdict="error", reason=utf8(why), informational=task in config.informational, margin=0.0)
        for task, why in faults.items()
    }
    for informational in (False, True):
        family = [task for task in tests if (task in config.informational) == informational]
        adjusted = correct([tests[task][0].p_below for task in family])
        for task, p in zip(family, adjusted, strict=True):
            test, own, main = tests[task]
            alpha = config.alpha / (len(family) if config.correction == "holm" else 1)
            evidence = _evidence(config.floors[task], test, own, main, p, alpha, config.alpha)
            verdict: Verdict = "inconclusive" if test.source == "none" else "regress" if p < config.alpha else "pass"
            reason = _reason(verdict, evidence)
            found[task] = TaskVerdict(
                verdict=verdict, reason=reason, informational=informational, margin=0.0, floor=evidence
            )
    return dict(sorted(found.items()))


def _evidence(
    floor: float, test: FloorTest, own: Sequence[Measured], main: Sequence[Measured], p: float, least: float,
    alpha: float,
) -> FloorEvidence:  # fmt: skip
    detectable = floors.found(floor, test.se, test.degrees, least) if test.source != "none" else None
    return FloorEvidence(
        floor=floor,
        score=rounded(test.score),
        runs=test.runs,
        n=questions(own[0]),
        se=rounded(test.se),
        degrees=rounded(test.degrees),
        high=rounded(test.high),
        p_below=short_p(test.p_below),
        adjusted=short_p(p),
        alarm=None if test.alarm is None else rounded(max(test.alarm, 0.0)),
        detectable=None if detectable is None else rounded(detectable),
        source=test.source,
        main=_main(floor, main, test.runs, alpha) if main else None,
    )


def _main(floor: float, main: Sequence[Measured], runs: int, alpha: float) -> MainRuns | None:
    try:
        noise = Noise.of(main)
    except ViubenchError:  # a single run that says nothing of others
        return None
    return MainRuns(
        runs=noise.runs,
        score=rounded(noise.score),
        deviation=rounded(noise.deviation),
        plain_failures=rounded(noise.plain_failures(floor, runs)),
        plain_floor=rounded(max(noise.plain_floor(alpha, runs), 0.0)),
    )


def _reason(verdict: Verdict, seen: FloorEvidence) -> str:
    score, floor = f"{100 * seen.score:.1f}", f"the floor of {100 * seen.floor:g}"
    if verdict == "inconclusive":
        return "nothing says how far the score of one run may be off: give more runs, or one with its questions"
    if verdict == "regress":
        return f"{score} is below {floor}, which chance does not explain (adjusted p {seen.adjusted:.2g})"
    if seen.score >= seen.floor:
        return f"{score} is not below {floor}"
    return f"{score} is below {floor} by no more than chance explains (adjusted p {seen.adjusted:.2g})"
