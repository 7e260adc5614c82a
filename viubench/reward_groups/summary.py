"""Groups of rewards in numbers: how many teach nothing, by task and by each parameter of difficulty.

Example:
    found = summary(Path("runs/probe"), items)
    found.total.strict.zero_std.value, found.total.smooth.zero_std.value
    # (0.52, 0.17): strict rewards leave more groups without advantage
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev, variance
from typing import Literal

from viubench.datasets.dataset import Dataset
from viubench.pretext.difficulty import Level, cells_of, level_text, levels_of, strength
from viubench.reward_groups.groups import RewardGroup, read, sampled
from viubench.schema.reward_groups import CellGroups, GroupSet, LevelGroups, Measure, RewardGroups, Spread
from viubench.scoring.aggregate import rounded
from viubench.scoring.reward import FULL
from viubench.stats import estimates
from viubench.storage.run_dir import read_manifest, read_results
from viubench.version import __version__

Kind = Literal["smooth", "strict"]


def summary(run: Path, items: Dataset) -> RewardGroups:
    """What the groups of a run on these items can teach. Raises ViubenchError as `viubench.reward_groups.groups.read`,
    and for an unfinished run."""
    manifest = read_manifest(run)
    read_results(run)  # refuses an unfinished run
    samples, temperature = sampled(manifest, str(run))
    groups, left_out = read(run, items)
    by_task: dict[str, list[RewardGroup]] = {}
    for group in groups:
        by_task.setdefault(group.sample.task, []).append(group)
    return RewardGroups(
        viubench=__version__,
        model=str(manifest.model["name"]),
        engine=str(manifest.engine["kind"]),
        started=manifest.started,
        samples=samples,
        temperature=temperature,
        total=group_set(groups),
        tasks={task: group_set(own) for task, own in by_task.items()},
        levels=[one for task, own in by_task.items() for one in _levels(task, own)],
        cells=_cells(groups),
        left_out=left_out,
    )


def group_set(groups: Sequence[RewardGroup]) -> GroupSet:
    """The measures of these groups, of which there is at least one."""
    clusters = len({group.sample.cluster for group in groups})
    return GroupSet(
        groups=len(groups), clusters=clusters, smooth=_spread(groups, "smooth"), strict=_spread(groups, "strict")
    )


def _spread(groups: Sequence[RewardGroup], kind: Kind) -> Spread:
    rewards = [group.smooth if kind == "smooth" else group.strict for group in groups]
    clusters = [group.sample.cluster for group in groups]
    measured = {
        "reward": [fmean(own) for own in rewards],
        "std": [stdev(own) for own in rewards],
        "all_right": [float(min(own) >= FULL) for own in rewards],
        "all_wrong": [float(max(own) == 0) for own in rewards],
        "mixed": [float(max(own) > min(own)) for own in rewards],
        "zero_std": [float(max(own) == min(own)) for own in rewards],
    }
    return Spread(**{name: _measure(values, clusters) for name, values in measured.items()})


def _measure(values: Sequence[float], clusters: Sequence[str]) -> Measure:
    found = estimates.mean(values, clusters)
    ends = rounded(max(found.low, 0.0)), rounded(min(found.high, 1.0))
    return Measure(value=rounded(found.value), ci=ends, interval=found.interval)


def _levels(task: str, groups: Sequence[RewardGroup]) -> list[LevelGroups]:
    """The groups of a task by each parameter that has two levels or more, and by the strength of each perturbation."""
    cells = cells_of([group.sample for group in groups])
    placed = [(name, level, group) for group in groups for name, level in cells[group.sample.id].levels]
    strengths: dict[str, list[tuple[float, RewardGroup]]] = {}
    for group in groups:
        if group.sample.pretext and (found := strength(group.sample.pretext)):
            strengths.setdefault(found[0], []).append((found[1], group))
    for name, own in strengths.items():
        level_of = levels_of([value for value, _ in own])
        placed += [(name, level_of[value], group) for value, group in own] if len(set(level_of.values())) > 1 else []
    names = list(dict.fromkeys(name for name, _, _ in placed))
    by_level: dict[tuple[str, Level], list[RewardGroup]] = {}
    for name, level, group in sorted(placed, key=lambda one: (names.index(one[0]), isinstance(one[1], str), one[1])):
        by_level.setdefault((name, level), []).append(group)
    return [
        LevelGroups(task=task, parameter=name, level=level_text(level), found=group_set(own))
        for (name, level), own in by_level.items()
    ]


def _cells(groups: Sequence[RewardGroup]) -> list[CellGroups]:
    """The groups of each cell of difficulty, by task and level."""
    cells = cells_of([group.sample for group in groups])
    of_cell: dict[str, list[RewardGroup]] = {}
    for group in groups:
        of_cell.setdefault(cells[group.sample.id].name, []).append(group)
    named = {cell.name: cell for cell in cells.values()}
    return [
        CellGroups(
            task=named[name].task,
            levels=list(named[name].levels),
            groups=len(own),
            variance=rounded(fmean(variance(group.smooth) for group in own)),
            mixed=rounded(fmean(max(group.smooth) > min(group.smooth) for group in own)),
        )
        for name, own in sorted(of_cell.items())
    ]
