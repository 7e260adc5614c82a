"""Finished run folders with chosen scores, written as a run writes them: manifest, records, results of the records.

Example:
    write(tmp_path / "a", {"t": [Row("1", 1.0, "video a"), Row("2", None, "video b")]})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viubench.schema import Groups, Manifest, Record, Status
from viubench.scoring.aggregate import summarise
from viubench.storage.run_dir import write_json

CHOICE = {"name": "choice", "params": {}}


@dataclass(frozen=True)
class Row:
    """One sample: its score, None where no answer was read out."""

    id: str
    score: float | None
    cluster: str
    status: Status = "ok"
    target: Any = "A"
    answer: str | None = None
    groups: Groups = field(default_factory=dict)


def rows(scores: Sequence[float | None], videos: int = 0) -> list[Row]:
    """A row a score; each of its own video, or spread evenly over so many."""
    return [Row(f"{n:05d}", score, f"video {n % videos if videos else n}") for n, score in enumerate(scores)]


def write(
    folder: Path,
    tasks: Mapping[str, Sequence[Row]],
    *,
    model: str = "m",
    evaluator: Mapping[str, Any] = CHOICE,
    protocol: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """A finished run of these samples; `about` replaces what the manifest says of every task."""
    records = [_record(task, row, evaluator["name"]) for task, found in tasks.items() for row in found]
    known = {
        task: {
            "hash": "d", "evaluator": dict(evaluator), "metric": "accuracy", "scores": ["accuracy"], "chance": 0.25,
            "blind": 0.3, "blind_statement": "", "items_hash": "x", "n": len(found),
        } | dict(about or {})
        for task, found in tasks.items()
    }  # fmt: skip
    manifest = Manifest(
        argv=[], model={"name": model, "fingerprint": "f"}, engine={"kind": "answers"},
        protocols=dict.fromkeys(tasks, {"protocol": "p", "hash": "h"} | dict(protocol or {})),
        tasks=known, packages={}, seed=0, hardware={}, started="",
    )  # fmt: skip
    folder.mkdir(parents=True)
    write_json(folder / "manifest.json", manifest)
    (folder / "records.jsonl").write_text("".join(f"{r.model_dump_json()}\n" for r in records), encoding="utf-8")
    write_json(folder / "results.json", summarise(records, manifest))
    return folder


def _record(task: str, row: Row, evaluator: str) -> Record:
    status: Status = "unparsed" if row.score is None and row.status == "ok" else row.status
    metric = {"temporal_iou": "iou", "permutation": "exact", "shape_counts": "exact"}.get(evaluator, "accuracy")
    said = f"{row.id} {row.score}" if row.answer is None else row.answer
    return Record(
        task=task,
        id=f"{task}-{row.id}",
        cluster=row.cluster,
        status=status,
        response=said,
        answer=said if status == "ok" else None,
        target=row.target,
        scores={metric: row.score} if status == "ok" and row.score is not None else {},
        groups=row.groups,
    )
