"""A run as the files that lmms-eval logs with `--log_samples`, which its own comparison and other tools read.

Example:
    write(FinishedRun.read(Path("runs/a")), Path("logs"))
    # [PosixPath('logs/Qwen__Qwen3-VL-8B/20260101_000000_results.json'), ...samples_videomme.jsonl]

A line is one sample: its row number, question, target, response (several of them in a list), score and id. The score is
ours: a number under `viubench_score`, which lmms-eval takes as it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viubench.export.finished import FinishedRun, FinishedTask, file_name
from viubench.schema import Record
from viubench.storage import atomic
from viubench.version import __version__

SCORE = "viubench_score"


def write(run: FinishedRun, out: Path) -> list[Path]:
    """Write the results file and a samples file a task into a folder of the model below `out`; returns their paths."""
    folder = out / file_name(str(run.manifest.model["name"]).replace("/", "__"))
    folder.mkdir(parents=True, exist_ok=True)
    date = run.started.strftime("%Y%m%d_%H%M%S")
    written = [folder / f"{date}_results.json"]
    atomic.write(written[0], json.dumps(_results(run, date), indent=2, ensure_ascii=False).encode())
    for task in run.tasks:
        lines = (json.dumps(_line(task, k, own), ensure_ascii=False) + "\n" for k, own in enumerate(task.answers))
        written.append(folder / f"{date}_samples_{file_name(task.name)}.jsonl")
        atomic.write(written[-1], "".join(lines).encode(errors="backslashreplace"))
    return written


def _results(run: FinishedRun, date: str) -> dict[str, Any]:
    model = str(run.manifest.model["name"])
    tasks = {task.name: task for task in run.tasks}
    return {
        "results": {
            name: {
                "alias": name,
                f"{task.result.metric},none": task.result.value,
                f"{task.result.metric}_stderr,none": task.result.se,
            }
            for name, task in tasks.items()
        },
        "configs": {name: {"task": name, "generation_kwargs": _generation(task)} for name, task in tasks.items()},
        "versions": {name: task.entry.version for name, task in tasks.items()},
        "n-samples": {
            name: {"original": task.entry.expected or task.result.n, "effective": task.result.n}
            for name, task in tasks.items()
        },
        "config": {"model": str(run.manifest.engine["kind"]), "model_args": {"pretrained": model}},
        "model_name": model,
        "viubench": {"version": __version__, "tasks": {name: task.about for name, task in tasks.items()}},
        "date": date,
    }


def _generation(task: FinishedTask) -> dict[str, Any]:
    """The protocol's decoding under lmms-eval's names; of an imported run what its files told."""
    decoding, told = task.protocol.decoding, task.protocol.decoding.model_fields_set
    known = {
        "max_new_tokens": ("max_tokens", decoding.max_tokens),
        "temperature": ("temperature", decoding.temperature),
        "do_sample": ("temperature", decoding.temperature > 0),
        "top_p": ("top_p", decoding.top_p),
        "top_k": ("top_k", decoding.top_k),
        "until": ("stop", list(decoding.stop)),
    }
    return {name: value for name, (own, value) in known.items() if own in told or task.protocol.imported is None}


def _line(task: FinishedTask, row: int, records: Sequence[Record]) -> dict[str, Any]:
    first, target = records[0], task.text(records[0].target)
    texts = [record.response or "" for record in records]
    line: dict[str, Any] = {
        "doc_id": row,
        "doc": {**first.groups, "id": first.id, "question": first.question, "video": first.cluster},
        "input": first.question,
        "target": target,
        "filtered_resps": texts if len(texts) > 1 else texts[0],
        "doc_hash": hashlib.sha256(f"{first.question}\0{target}".encode(errors="backslashreplace")).hexdigest(),
        SCORE: task.score(records),
        "status": first.status,
    }
    if any(record.reasoning for record in records):
        raw = [f"{record.reasoning or ''}{record.response or ''}" for record in records]
        line["resps"] = raw if len(raw) > 1 else raw[0]
    return line
