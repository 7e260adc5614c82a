"""The groups of a run with several answers to each question: their rewards, and how hard each question is.

Example:
    groups, left_out = read(Path("runs/probe"), pretext_items.read(Path("items"), Catalogue(), cache))
    groups[0].smooth
    # (0.75, 1.0, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import evaluators
from viubench.datasets.dataset import Dataset
from viubench.errors import ViubenchError
from viubench.schema import FAILED, Manifest, Record, Sample
from viubench.scoring.reward import reward
from viubench.storage.run_dir import read_manifest, read_records

HINT = "viubench probe-data --model MODEL --items ITEMS --samples 8 --out RUN"


@dataclass(frozen=True)
class RewardGroup:
    """The rewards, in [0, 1], of two or more answers to one question: `smooth`, and `strict` (0 or 1)."""

    sample: Sample
    smooth: tuple[float, ...]
    strict: tuple[float, ...]


def sampled(manifest: Manifest, where: str) -> tuple[int, float]:
    """How many answers each question of a run has, and at what temperature they were sampled. Raises ViubenchError for
    one answer, which is no group, and for tasks that were not sampled alike."""
    settings = {(one.decoding.samples, one.decoding.temperature) for one in manifest.protocols.values()}
    (samples, temperature), *others = sorted(settings)
    if samples < 2:
        raise ViubenchError("the run has one answer to each question, which is no group", where=where, hint=HINT)
    if others:
        raise ViubenchError("the tasks of the run were not sampled alike", where=where, hint=HINT)
    return samples, temperature


def read(run: Path, items: Dataset) -> tuple[list[RewardGroup], dict[str, int]]:
    """The groups of a run on these items, in their order, and how many questions of each task are left out because an
    answer is missing or failed (media or engine errors). Raises ViubenchError for a run of fewer than two answers, or
    answers to other items."""
    wanted, _ = sampled(read_manifest(run), str(run))
    known = {sample.id: sample for sample in items.samples}
    answers: dict[str, list[Record]] = {}
    for record in read_records(run):
        if record.id not in known:
            said = f"the run has an answer to {record.id!r:.80}, which is none of the items"
            raise ViubenchError(said, where=str(run), hint="name the items that the run was asked")
        answers.setdefault(record.id, []).append(record)
    whole = {name for name, own in answers.items() if len(own) == wanted and not any(r.status in FAILED for r in own)}
    if not whole:
        raise ViubenchError("no question has all its answers", where=str(run), hint="rerun the command to resume")
    specs = {known[name].task: items.tasks[known[name].task].evaluator for name in whole}
    graders = {task: evaluators.get(spec.name, **spec.params) for task, spec in specs.items()}
    groups = [_group(known[name], answers[name], graders[known[name].task]) for name in known if name in whole]
    return groups, dict(Counter(known[name].task for name in answers if name not in whole))


def _group(sample: Sample, own: Sequence[Record], evaluator: evaluators.Evaluator) -> RewardGroup:
    ordered = sorted(own, key=lambda record: record.number)
    found = [reward(record.response or "", record.finish_reason, sample, evaluator) for record in ordered]
    return RewardGroup(sample, tuple(one.value for one in found), tuple(one.strict for one in found))
