"""Scores without answers, as other harnesses' results files have them: enough for a floor, not for a comparison.

Example:
    read(Path("metrics.json")).tasks["mmmu"].score
    # 0.64

Read are `vllm bench serve --omni` (NAME_accuracy), sgl-eval's metrics.json, sglang-omni's results (summary), results of
lmms-eval and lm-evaluation-harness, and a plain {"task": "t", "score": 0.6, "n": 900}. Scores above 1 are percent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viubench.comparison.floors import FloorRun
from viubench.errors import ViubenchError
from viubench.imports import values
from viubench.schema import GatedRun, utf8
from viubench.schema.gate import MAX_ERRORS
from viubench.stats.floors import Measured

LARGEST = 256 << 20
MODELS = ("model", "model_id", "model_name", "served_model_name")
COUNTS = ("n", "num_examples", "num_questions", "total_samples", "total", "questions")
NAMES = ("task", "name", "eval_name", "benchmark", "dataset")


@dataclass
class Found:
    """What a file says, by task."""

    tasks: dict[str, Measured] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, task: str, score: Any, n: Any, *, runs: int = 1, spread: float = 0.0) -> None:
        """A score, which is no fault, of `n` questions where that is known."""
        value = values.number(score)
        scale = 100.0 if value is not None and value > 1 else 1.0
        if value is None or not 0 <= value / scale <= 1:
            self.faults[task] = f"{task!r:.80} has no score between 0 and 1, or 0 and 100: {score!s:.40}"
            return
        count = values.whole(n) or 0
        self.tasks[task] = Measured.counted(value / scale, count, runs, spread / scale)


def read(path: Path, max_errors: float = MAX_ERRORS) -> FloorRun:
    """The scores in a results file; raises ViubenchError where there are none."""
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
        data = json.loads(content)
    except (OSError, ValueError, RecursionError):
        data, content = None, b""
    found = Found()
    harness = ""
    if isinstance(data, dict):
        harness = next((name for name, reader in READERS.items() if reader(data, path.stem, found, max_errors)), "")
    if not harness or not (found.tasks or found.faults):
        raise ViubenchError(
            "this is no run folder, and no results file with a score that can be read",
            where=str(path),
            hint='give a run folder, results of vllm bench, sgl-eval, lmms-eval or {"task": "t", "score": 0.6, "n": 9}',
        )
    about = GatedRun(
        path=utf8(path),
        model=utf8(values.name(values.first(data, MODELS))),
        engine=harness,
        fingerprint="",
        files={path.name: hashlib.sha256(content).hexdigest()},
    )
    return FloorRun(about, found.tasks, found.faults)


def _vllm_bench(data: Mapping[str, Any], stem: str, found: Found, max_errors: float) -> bool:
    """`NAME_accuracy`, of `NAME_evaluated` questions; failed requests count as wrong, as everywhere here."""
    names = [key.removesuffix("_evaluated") for key in data if key.endswith("_evaluated")]
    named = [name for name in names if f"{name}_accuracy" in data]
    for name in named:
        asked, failed = values.whole(data[f"{name}_evaluated"]) or 0, values.whole(data.get(f"{name}_request_failed"))
        if failed and failed > max_errors * asked:
            found.faults[name] = f"{name!r:.80}: {failed} of {asked} requests failed, more than {100 * max_errors:g} %"
        else:
            found.add(name, values.first(data, (f"{name}_accuracy_incl_http_fail", f"{name}_accuracy")), asked)
    return bool(named)


def _sgl_eval(data: Mapping[str, Any], stem: str, found: Found, max_errors: float) -> bool:
    """`aggregate` over `n_repeats` of `num_examples` questions."""
    scores = data.get("aggregate")
    if not isinstance(scores, Mapping) or "num_examples" not in data:
        return False
    name, runs = values.name(data.get("name")) or stem, values.whole(data.get("n_repeats")) or 1
    if data.get("partial"):
        found.faults[name] = f"{name!r:.80} was stopped before its end (partial)"
    else:
        spread = values.number(scores.get("pass@1_std")) or 0.0
        found.add(name, values.first(scores, ("pass@1", "score")), data["num_examples"], runs=runs, spread=spread)
    return True


def _sglang_omni(data: Mapping[str, Any], stem: str, found: Found, max_errors: float) -> bool:
    """`summary`, of a file that is named after the benchmark."""
    summary = data.get("summary")
    if not isinstance(summary, Mapping) or "accuracy" not in summary:
        return False
    name, total = stem.removesuffix("_results"), values.whole(summary.get("total_samples")) or 0
    failed = values.whole(summary.get("failed")) or 0
    if failed > max_errors * total:
        found.faults[name] = f"{name!r:.80}: {failed} of {total} requests failed, more than {100 * max_errors:g} %"
    else:
        found.add(name, summary["accuracy"], total)
    return True


def _lmms_eval(data: Mapping[str, Any], stem: str, found: Found, max_errors: float) -> bool:
    """`results` by task and metric; a task of several metrics is several tasks, TASK.METRIC."""
    results, sizes = data.get("results"), data.get("n-samples")
    if not isinstance(results, Mapping) or not isinstance(sizes, Mapping):
        return False
    for task, own in results.items():
        metrics = {
            key.partition(",")[0]: value
            for key, value in (own.items() if isinstance(own, Mapping) else ())
            if "stderr" not in key and "," in key and values.number(value) is not None
        }
        size = sizes.get(task)
        count = size.get("effective") if isinstance(size, Mapping) else None
        for metric, value in metrics.items():
            found.add(str(task) if len(metrics) == 1 else f"{task}.{metric}", value, count)
    return True


def _plain(data: Mapping[str, Any], stem: str, found: Found, max_errors: float) -> bool:
    """`score` (or `accuracy`) of `n` questions, of the task that is named in the file or by it."""
    score = values.first(data, ("score", "accuracy"))
    if score is None:
        return False
    found.add(values.name(values.first(data, NAMES)) or stem, score, values.first(data, COUNTS))
    return True


READERS: dict[str, Callable[[Mapping[str, Any], str, Found, float], bool]] = {
    "vllm bench": _vllm_bench,
    "sgl-eval": _sgl_eval,
    "sglang-omni": _sglang_omni,
    "lmms-eval": _lmms_eval,
    "plain": _plain,
}
