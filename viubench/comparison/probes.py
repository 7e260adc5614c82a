"""A run beside its probes, which asked the same questions with some of the evidence taken away.

Example:
    report = probe_report(Path("runs/a"), [Path("runs/a/probes/blind"), Path("runs/a/probes/reversed")])
    report.solved
    # {'nextqa': ['blind']}

Differences are paired question by question and clustered by source video. A task counts as solved by a probe where the
probe's score is not significantly below the run's; as partly solved where the score without any of its video is above
chance and the blind row. Nothing is told where the run itself is not above both, or where the questions are so few that
a fall to them would not have shown. These words are not corrected for the number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from viubench.comparison.pair import Incomparable, Side, check_items, check_whole, fields_of, measured
from viubench.schema import PROBES, Probe, TaskResult, utf8
from viubench.schema.gate import MAX_ERRORS
from viubench.schema.probes import ProbedTask, ProbeReport, ProbeVerdict
from viubench.scoring.aggregate import rounded
from viubench.stats.paired_differences import Difference, paired

FOLDER = "probes"
"""Where in a run folder the runs of its probes lie, each below its name."""

SIGHTLESS: tuple[Probe, ...] = ("blind", "other-video")
"""Probes that show nothing of the question's own video."""

ORDERS: tuple[Probe, ...] = ("option-shuffle", "circular")
"""Probes that take no evidence away."""


def probe_of(side: Side) -> Probe:
    """The probe of a run; ViubenchError where its tasks have several."""
    found = {protocol.probe for protocol in side.manifest.protocols.values()}
    if len(found) > 1:
        raise Incomparable(f"{side.path} has several probes: {', '.join(sorted(found))}", where=str(side.path))
    return next(iter(found), "none")


def probes_in(run: Path) -> list[Path]:
    """The finished probes in a run folder, in the order of `PROBES`."""
    found = [run / FOLDER / name for name in PROBES]
    return [path for path in found if (path / "results.json").exists()]


def probe_report(run: Path | Side, probes: Sequence[Path | Side], *, max_errors: float = MAX_ERRORS) -> ProbeReport:
    """Each task of the run beside each of its probes.

    Raises:
        Incomparable: an unfinished run, one without a probe, other items, or another protocol but for the probe.
        ViubenchError: not a run folder, or a damaged one.
    """
    real = run if isinstance(run, Side) else Side.read(run)
    if (own := probe_of(real)) != "none":
        raise Incomparable(f"{real.path} is itself run with --probe {own}", where=str(real.path))
    rows: list[ProbedTask] = []
    left_out: dict[str, dict[str, str]] = {}
    for one in probes:
        side = one if isinstance(one, Side) else Side.read(one)
        probe = probe_of(side)
        if probe == "none":
            raise Incomparable(f"{side.path} is run without a probe", where=str(side.path), hint="viubench compare")
        rows += [_row(real, side, task, probe, max_errors) for task in sorted(real.results.tasks)
                 if task in side.results.tasks and not real.results.tasks[task].needs_judge]  # fmt: skip
        if why := {task: why for task, why in side.manifest.left_out.items() if task in real.results.tasks}:
            left_out[probe] = why
    return ProbeReport(run=utf8(real.path.name), model=utf8(real.manifest.model["name"]), rows=rows, left_out=left_out)


def _row(real: Side, probed: Side, task: str, probe: Probe, max_errors: float) -> ProbedTask:
    for side in (real, probed):
        check_whole(side, task, max_errors)
    one, two = (fields_of(side.manifest.protocols[task]) for side in (real, probed))
    if other := sorted(name for name in one if name != "probe" and one[name] != two[name]):
        where = f"{real.path} and {probed.path}"
        raise Incomparable(f"{task!r:.80} was run under two protocols, which differ in {', '.join(other)}", where=where)
    check_items(real, probed, task)
    first, second = measured(real, task), measured(probed, task)
    before, after = real.results.tasks[task], probed.results.tasks[task]
    difference = paired(first.parts, second.parts)
    floor = max((value for value in (before.chance, before.blind) if value is not None), default=None)
    return ProbedTask(
        task=task,
        probe=probe,
        n=before.n,
        clusters=difference.clusters,
        real=rounded(first.value),
        real_ci=before.ci,
        probed=rounded(second.value),
        probed_ci=after.ci,
        difference=rounded(difference.mean),
        ci=(rounded(difference.low), rounded(difference.high)),
        interval=difference.interval,
        floor=floor,
        verdict=verdict(probe, before, after, difference, floor),
    )


def verdict(
    probe: Probe, real: TaskResult, probed: TaskResult, difference: Difference, floor: float | None
) -> ProbeVerdict:
    """What a probe's score says, see the head of this module; an unknown floor is 0."""
    floor = floor or 0.0
    if probe in ORDERS:
        return "order matters" if difference.high < 0 else "holds"
    told = real.ci[0] > floor and (difference.high < 0 or difference.low > floor - real.value)
    if told and difference.high >= 0:
        return "solved"
    if probe in SIGHTLESS and probed.ci[0] > floor:
        return "partly"
    return "needed" if told else "not told"
