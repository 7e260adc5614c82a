"""The regression gate: whether the candidate is worse than the reference run, not worse, or inconclusive.

Example:
    report = gate(Path("runs/base"), Path("runs/step-200"), GateConfig(margins={"default": 0.01}))
    report.verdict, report.exit_code
    # ('regress', 1)

Non-inferiority with a margin per task (docs/gate.md). With d = candidate - baseline, and its interval of
level 1 - 2 alpha:

- `regress`: the loss is real (one-sided p below alpha, Holm over the gated tasks) and d is beyond the margin;
- `improve`: the gain is real, by the same test;
- `pass`: the interval ends above minus the margin, or every answer is the same;
- `inconclusive`: none of these; `error`: the two runs must not be compared on this task.

A pass needs no correction for many tasks: to pass, a candidate must pass all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from viubench.comparison.pair import (
    Comparison,
    Incomparable,
    Side,
    TaskPair,
    identity,
    lone_tasks,
    numbers,
    pair,
    rounded_detectable,
)
from viubench.errors import Exit, ViubenchError
from viubench.schema import Evidence, GateConfig, GatedMean, GateReport, TaskVerdict, Verdict, utf8
from viubench.schema.gate import DEFAULT
from viubench.scoring.aggregate import rounded
from viubench.stats.paired_differences import Difference, holm, needed, short_p
from viubench.version import __version__

WORST_FIRST: tuple[Verdict, ...] = ("error", "regress", "inconclusive")
CODES: dict[Verdict, Exit] = {
    "pass": Exit.OK,
    "improve": Exit.OK,
    "regress": Exit.NEGATIVE,
    "inconclusive": Exit.INCONCLUSIVE,
    "error": Exit.INVALID_RUN,
}


@dataclass(frozen=True)
class Judgement:
    """A verdict and the adjusted p-values it rests on; `tests` is the number they are corrected for."""

    verdict: Verdict
    worse: float
    better: float
    tests: int


def gate(baseline: Path, candidate: Path, config: GateConfig | None = None) -> GateReport:
    """Judge the run in folder `candidate` against the one in `baseline`.

    What must not be compared is an `error` in the report: an unfinished run, too many media or engine errors, other
    items, another protocol or definition, a task that one run lacks.

    Raises:
        ViubenchError: not a run folder, a damaged one, or a configuration that names a task neither run has.
    """
    config = own = config or GateConfig()
    problems: list[str] = []
    sides: list[Side] = []
    pairs: dict[str, TaskPair] = {}
    faults: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for path in (baseline, candidate):
        try:
            sides.append(Side.read(path))
        except Incomparable as error:
            problems.append(error.message)
    if not problems:
        a, b = sides
        names = a.results.tasks.keys() | b.results.tasks.keys()
        suites: dict[str, set[str]] = {}  # the tasks of each suite that one of the runs covers whole
        for name, suite in (*a.manifest.suites.items(), *b.manifest.suites.items()):
            suites.setdefault(name, set()).update(suite.tasks)
        _check_names(config, names | suites.keys())
        own = config.for_tasks(names, suites)
        lone = {task: f"{task!r:.80} is not in {path}" for task, path in lone_tasks(a, b).items()}
        faults, skipped = (lone, {}) if config.on_missing == "error" else ({}, lone)
        for task in sorted(a.results.tasks.keys() & b.results.tasks.keys()):
            try:
                pairs[task] = pair(a, b, task, level=config.level, max_errors=config.max_errors)
            except Incomparable as error:
                faults[task] = f"{error.message} ({error.where})"
        if not pairs and not faults:
            problems.append("the two runs have no task in common")
    tasks = _verdicts(pairs, faults, own)
    verdict = overall(tasks, problems)
    gated = {task: compared for task, compared in pairs.items() if not tasks[task].informational}
    return GateReport(
        viubench=__version__,
        verdict=verdict,
        exit_code=int(CODES[verdict] if config.blocks(verdict) else Exit.OK),
        problems=[utf8(problem) for problem in problems],
        baseline=identity(baseline),
        candidate=identity(candidate),
        config=config,
        tasks=tasks,
        skipped={task: utf8(why) for task, why in skipped.items()},
        mean=_mean(gated, config.level) if gated else None,
    )


def judge(
    differences: Mapping[str, Difference], config: GateConfig, same_answers: Collection[str] = ()
) -> dict[str, Judgement]:
    """The verdict on each task's difference (of level `config.level`); `same_answers` names the tasks whose answers
    are all the same. Informational tasks are corrected among themselves, so that they cost the gated ones nothing."""
    judged: dict[str, Judgement] = {}
    correct = holm if config.correction == "holm" else list
    for informational in (False, True):
        family = [task for task in differences if (task in config.informational) == informational]
        worse = correct([differences[task].p_worse for task in family])
        better = correct([differences[task].p_better for task in family])
        for task, down, up in zip(family, worse, better, strict=True):
            difference, margin = differences[task], config.margin(task)
            verdict: Verdict = "inconclusive"
            if down < config.alpha and difference.mean < -margin:
                verdict = "regress"
            elif up < config.alpha:
                verdict = "improve"
            elif difference.low > -margin or task in same_answers:
                verdict = "pass"
            judged[task] = Judgement(verdict, down, up, len(family) if config.correction == "holm" else 1)
    return judged


def overall(tasks: Mapping[str, TaskVerdict], problems: Sequence[str]) -> Verdict:
    """The gate's verdict: that of its worst task, errors first; `improve` when a task improves and none is worse."""
    verdicts = {task.verdict for task in tasks.values() if not task.informational} | ({"error"} if problems else set())
    return next((verdict for verdict in (*WORST_FIRST, "improve") if verdict in verdicts), "pass")


def _check_names(config: GateConfig, known: Collection[str]) -> None:
    """A name in neither run is a mistake, unless missing tasks are to be skipped."""
    if config.on_missing == "skip":
        return
    for key, names in (("margins", config.margins.keys() - {DEFAULT}), ("informational", config.informational)):
        for name in sorted(names):
            if name not in known:
                close = get_close_matches(name, known, n=1)
                raise ViubenchError(
                    f"the gate's {key} name {name!r:.80}, which is a task or suite of neither run",
                    where="--config",
                    hint=f"did you mean {close[0]!r:.80}?" if close else "remove it, or set on_missing: skip",
                )


def _verdicts(pairs: Mapping[str, TaskPair], faults: Mapping[str, str], config: GateConfig) -> dict[str, TaskVerdict]:
    judged = judge(
        {task: compared.diff for task, compared in pairs.items()},
        config,
        {task for task, compared in pairs.items() if compared.same_answers},
    )
    verdicts: dict[str, TaskVerdict] = {}
    for task in sorted(pairs.keys() | faults.keys()):
        verdict: Verdict = "error"
        margin, evidence = config.margin(task), None
        if task in pairs:
            verdict, evidence = judged[task].verdict, _evidence(pairs[task], judged[task], margin, config.alpha)
        verdicts[task] = TaskVerdict(
            verdict=verdict,
            reason=_reason(verdict, evidence, margin, config.alpha) if evidence else utf8(faults[task]),
            informational=task in config.informational,
            margin=margin,
            evidence=evidence,
        )
    return verdicts


def _evidence(compared: TaskPair, judged: Judgement, margin: float, alpha: float) -> Evidence:
    diff = compared.diff
    return Evidence(
        metric=compared.metric,
        n=compared.n,
        baseline=rounded(compared.value_a),
        candidate=rounded(compared.value_b),
        **numbers(diff),
        se=rounded(diff.se),
        test=diff.test,
        p_worse=short_p(diff.p_worse),
        p_better=short_p(diff.p_better),
        adjusted_worse=short_p(judged.worse),
        adjusted_better=short_p(judged.better),
        exact_baseline=rounded(compared.exact_a),
        exact_candidate=rounded(compared.exact_b),
        same_answers=compared.same_answers,
        detectable=rounded_detectable(diff, alpha / judged.tests),  # Holm's first step, for a loss in one task alone
        needed=needed(diff, margin, alpha),
    )


def _reason(verdict: Verdict, evidence: Evidence, margin: float, alpha: float) -> str:
    loss, beyond = -100 * evidence.difference, f"the margin of {100 * margin:g}"
    if verdict == "regress":
        return f"a loss of {loss:.1f} points, beyond {beyond} (adjusted p {evidence.adjusted_worse:.2g})"
    if verdict == "improve":
        return f"a gain of {-loss:.1f} points (adjusted p {evidence.adjusted_better:.2g})"
    if verdict == "pass":
        return "every answer is the same" if evidence.same_answers else f"a loss beyond {beyond} points is ruled out"
    if evidence.clusters == 1:
        return "all items are of one source video, which says nothing about others"
    if evidence.adjusted_worse < alpha:
        low, high = -100 * evidence.ci[1], -100 * evidence.ci[0]
        return f"a real loss, of {low:.1f} to {high:.1f} points: whether it is beyond {beyond} is not clear"
    if evidence.difference < -margin:
        return f"a loss of {loss:.1f} points, which chance may explain (adjusted p {evidence.adjusted_worse:.2g})"
    left = f"underpowered at {beyond}: a loss of up to {-100 * evidence.ci[0]:.1f} points is not ruled out"
    if evidence.needed is None or evidence.needed <= evidence.units:
        return left
    return f"{left}; if there is none, about {evidence.needed:,} items would rule it out"


def _mean(pairs: Mapping[str, TaskPair], level: float) -> GatedMean:
    comparison = Comparison.of(pairs, level)
    return GatedMean(
        tasks=len(pairs),
        baseline=rounded(comparison.value_a),
        candidate=rounded(comparison.value_b),
        difference=rounded(comparison.mean.mean),
        ci=(rounded(comparison.mean.low), rounded(comparison.mean.high)),
        interval=comparison.mean.interval,
        se=rounded(comparison.mean.se),
    )
