"""Two item sets compared: nothing in common, everything answerable, baselines and parameters of one distribution.

Example:
    report = equate(Path("items/2026-11"), Path("items/2026-12"), runs=[Path("runs/m-11"), Path("runs/m-12")])
    report.alike, report.links[0].shift
    # (True, 0.004)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp

import evaluators
from viubench.datasets import pretext_items
from viubench.equating.features import features, truth
from viubench.errors import ViubenchError
from viubench.schema import Manifest, Results, Sample, Task
from viubench.schema.equating import Baseline, Check, CommonModel, EquatingReport, Link
from viubench.scoring.aggregate import items_hash
from viubench.stats.estimates import Floats, spread
from viubench.stats.paired_differences import holm
from viubench.storage.run_dir import read_manifest, read_results
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache, default_root

ALPHA = 0.05
Z = 1.959964
"""Of a two-sided 95 % interval."""


@dataclass(frozen=True)
class ItemSet:
    """The items of a build folder by task, and the seed they were drawn with."""

    path: Path
    tasks: Mapping[str, Task]
    samples: Mapping[str, Sequence[Sample]]
    seed: int | None

    @classmethod
    def read(cls, path: Path, cache: FrameCache) -> ItemSet:
        """Raises ViubenchError where `path` is no build folder."""
        built = pretext_items.read(path, Catalogue(), cache, option="equate")
        about = path / "build.json"
        if not about.exists():
            raise ViubenchError(f"{path} was not built here: there is no build.json", where="equate")
        samples: dict[str, list[Sample]] = {}
        for sample in built.samples:
            samples.setdefault(sample.task, []).append(sample)
        return cls(path, built.tasks, samples, json.loads(about.read_bytes()).get("seed"))

    def hashes(self) -> dict[str, str]:
        """What a manifest calls the items of each task."""
        return {task: items_hash((s.id, s.target_hash()) for s in own) for task, own in self.samples.items()}


def equate(a: Path, b: Path, runs: Sequence[Path] = ()) -> EquatingReport:
    """Compare two sets of items, and the runs of models that were asked both.

    Raises:
        ViubenchError: no build folders, tasks with other definitions, or a run of neither set.
    """
    first, second = (ItemSet.read(path, FrameCache(default_root())) for path in (a, b))
    _require_one_recipe(first, second)
    ids = [{sample.id for own in one.samples.values() for sample in own} for one in (first, second)]
    shared = ids[0] & ids[1]
    oracle = _oracle(first), _oracle(second)
    checks = [check for task in first.samples for check in _checks(task, first, second)]
    adjusted = holm([check.p for check in checks])
    checks = [check.model_copy(update={"holm": p}) for check, p in zip(checks, adjusted, strict=True)]
    baselines = [row for task in first.samples for row in _baselines(task, first, second)]
    models = _models(first, second, runs)
    reasons = [f"{len(shared)} ids are in both"] if shared else []
    reasons += [
        f"true answers score {share:.1%} in {one.path}"
        for share, one in zip(oracle, (first, second), strict=True)
        if share < 1
    ]
    reasons += [f"{one.task}: {one.what} differs (p {one.holm:.2g})" for one in checks if one.holm < ALPHA]
    reasons += [f"{row.task}: the {row.row} row differs" for row in baselines if _apart(row, len(baselines))]
    return EquatingReport(
        a=str(a),
        b=str(b),
        items=(sum(map(len, first.samples.values())), sum(map(len, second.samples.values()))),
        seeds=(first.seed, second.seed),
        shared=len(shared),
        oracle=oracle,
        alpha=ALPHA,
        checks=checks,
        baselines=baselines,
        models=models,
        links=_links(models),
        reasons=reasons,
    )


def _require_one_recipe(a: ItemSet, b: ItemSet) -> None:
    if a.samples.keys() != b.samples.keys():
        odd = sorted(a.samples.keys() ^ b.samples.keys())[0]
        raise ViubenchError(f"only one of the sets has {odd}", where="equate", hint="build both with one recipe")
    for name in a.samples:
        if a.tasks[name].hash() != b.tasks[name].hash():
            raise ViubenchError(
                f"{name} is another task in each set", where="equate", hint="build both with one recipe"
            )


def _oracle(items: ItemSet) -> float:
    """The mean score of the answers that follow from what was drawn, read as any answer is."""
    scores = []
    for name, samples in items.samples.items():
        spec = items.tasks[name].evaluator
        evaluator = evaluators.get(spec.name, **spec.params)
        for sample in samples:
            answer = evaluator.parse(truth(sample.pretext) if sample.pretext else sample.answer_text, sample)
            scores.append(evaluator.score(answer, sample)[evaluator.unit_metric] if answer else 0.0)
    return float(np.mean(scores))


def _checks(task: str, a: ItemSet, b: ItemSet) -> list[Check]:
    """Each parameter's distribution in both sets (Kolmogorov and Smirnov's test, which is careful where values tie)."""
    rows = [[features(s.pretext) for s in one.samples[task] if s.pretext] for one in (a, b)]
    names = [name for name in rows[0][0] if all(name in row for side in rows for row in side)]
    found = []
    for name in names:
        left, right = (np.array([row[name] for row in side]) for side in rows)
        test = ks_2samp(left, right, method="asymp")
        found.append(
            Check(
                task=task,
                what=name,
                a=round(float(left.mean()), 4),
                b=round(float(right.mean()), 4),
                distance=round(float(test.statistic), 4),
                p=float(test.pvalue),
                holm=1.0,
            )
        )
    return found


def _baselines(task: str, a: ItemSet, b: ItemSet) -> list[Baseline]:
    """The best constant answer and the random rule in both sets."""
    spec = a.tasks[task].evaluator
    evaluator = evaluators.get(spec.name, **spec.params)
    scores: dict[str, list[Floats]] = {"blind": [], "chance": []}
    for one in (a, b):
        own = one.samples[task]
        answers = [evaluator.parse(text, s) for text, s in zip(evaluator.blind(own).texts, own, strict=True)]
        blind = [evaluator.score(x, s)[evaluator.unit_metric] if x else 0.0 for x, s in zip(answers, own, strict=True)]
        scores["blind"].append(np.array(blind))
        scores["chance"].append(np.array([evaluator.chance(s) for s in own]))
    clusters = [[s.cluster for s in one.samples[task]] for one in (a, b)]
    rows = []
    for row in ("blind", "chance"):
        left, right = scores[row]
        errors = [spread([(1.0, own, of)]).se for own, of in zip((left, right), clusters, strict=True)]
        rows.append(
            Baseline(
                task=task,
                row=row,
                a=round(float(left.mean()), 6),
                b=round(float(right.mean()), 6),
                ci=_interval(float(right.mean() - left.mean()), *errors),
            )
        )
    return rows


def _interval(difference: float, *errors: float) -> tuple[float, float]:
    reach = Z * math.hypot(*errors)
    return round(difference - reach, 6), round(difference + reach, 6)


def _apart(row: Baseline, rows: int) -> bool:
    """Whether a baseline differs, each of so many rows at its part of alpha (Bonferroni)."""
    middle, reach = (row.ci[0] + row.ci[1]) / 2, (row.ci[1] - row.ci[0]) / 2
    if reach < 1e-9:
        return abs(middle) > 1e-6
    return math.erfc(abs(middle) / reach * Z / math.sqrt(2)) < ALPHA / rows


def _models(a: ItemSet, b: ItemSet, runs: Sequence[Path]) -> list[CommonModel]:
    """The runs of models that answered both sets, by task."""
    sides: list[dict[str, Results]] = [{}, {}]
    hashes = [a.hashes(), b.hashes()]
    for path in runs:
        manifest = read_manifest(path)
        place = next((k for k, own in enumerate(hashes) if _is_of(manifest, own)), None)
        if place is None:
            raise ViubenchError(f"{path} is a run of neither set", where="--run", hint="run the items of both folders")
        name = str(manifest.model["name"])
        if name in sides[place]:
            raise ViubenchError(f"two runs of {name} are of one set", where="--run", hint="name one run of each set")
        sides[place][name] = read_results(path)
    alone = sorted(sides[0].keys() ^ sides[1].keys())
    if alone:
        raise ViubenchError(f"{alone[0]} has a run of one set only", where="--run", hint="run the other set too")
    found = []
    for name, left in sides[0].items():
        for task, one in left.tasks.items():
            other = sides[1][name].tasks[task]
            ci = _interval(other.value - one.value, one.se, other.se)
            found.append(CommonModel(task=task, model=name, a=one.value, b=other.value, ci=ci))
    return found


def _is_of(manifest: Manifest, hashes: Mapping[str, str]) -> bool:
    return all(hashes.get(task) == entry.items_hash for task, entry in manifest.tasks.items())


def _links(models: Sequence[CommonModel]) -> list[Link]:
    """The mean difference of the common models, by task (mean equating: Kolen & Brennan, "Test Equating" (2014))."""
    links = []
    for task in dict.fromkeys(row.task for row in models):
        own = [row for row in models if row.task == task]
        shift = float(np.mean([row.b - row.a for row in own]))
        reach = float(np.mean([(row.ci[1] - row.ci[0]) / 2 for row in own]))
        ci = (round(shift - reach, 6), round(shift + reach, 6))
        links.append(Link(task=task, shift=round(shift, 6), ci=ci, models=len(own)))
    return links
