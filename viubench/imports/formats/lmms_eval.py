"""lmms-eval's logged samples (`--log_samples`), and lm-evaluation-harness's, which they descend from.

Example of a line, as 0.7.3 writes it (the row of the data set is left out there, earlier versions have it as `doc`):

    {"doc_id": 0, "input": "What passes? ...", "target": "A", "filtered_resps": "A", "doc_hash": "...",
     "videomme_perception_score": {"question_id": "001-1", "pred_answer": "A", "answer": "A", "score": 1.0}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.imports import values
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats.base import Format

OWN = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "doc_hash", "prompt_hash", "target_hash"}
    | {"input", "input_media", "token_counts", "filter", "metrics", "_log"}
)
"""Keys that are no metric."""

IDS = ("question_id", "qid", "id", "idx", "index", "uid", "pid", "doc_name")
SCORES = ("score", "acc", "accuracy", "correct", "hit", "iou", "exact_match", "rating")
PREDICTED = (
    "pred_answer",
    "parsed_pred",
    "predicted_answer",
    "parsed_prediction",
    "extracted_answer",
    "predicted_order",
)
TRUE = ("answer", "gt_answer", "gt-answer", "gt", "ground_truth", "target")
VIDEOS = ("videoID", "video_uid", "video_path", "video_file", "video_name", "video", "video_id", "vid", "key")
QUESTIONS = ("question", "query", "caption", "problem")
LARGEST_LOG = 64 << 20


def _recognises(row: Fields) -> bool:
    return "doc_id" in row and ("filtered_resps" in row or "resps" in row) and not _of_lm_eval(row)


def _of_lm_eval(row: Fields) -> bool:
    """What only lm-evaluation-harness writes: its arguments are named, and its prompts and targets are hashed."""
    return "filtered_resps" in row and ("prompt_hash" in row or "filter" in row)


def answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
    """The answer of a line; its several responses where it has them."""
    texts = _texts(row.get("filtered_resps", row.get("resps")))
    if texts is None:
        yield Unreadable(place, "its responses are no text (log-likelihoods of options?)")
        return
    yield FileAnswer(place, texts, reasoning=_reasoning(row, texts), **known(row))


def known(row: Fields) -> dict[str, Any]:
    """What a line says beside its response."""
    doc = row["doc"] if isinstance(row.get("doc"), Mapping) else {}
    metrics = {key: value for key, value in row.items() if key not in OWN}
    verdict = next((value for value in metrics.values() if isinstance(value, Mapping)), {})
    score = next((found for value in metrics.values() if (found := _score(value)) is not None), None)
    return {
        "ids": tuple(dict.fromkeys((*values.names(doc, IDS), *values.names(verdict, IDS), *_kinds(verdict)))),
        "row": values.whole(row.get("doc_id")),
        "question": values.text(values.first(doc, QUESTIONS) or row.get("input") or values.first(verdict, QUESTIONS)),
        "video": values.name(values.first(doc, VIDEOS) or values.first(verdict, VIDEOS)) or _media(row),
        "target": values.text(row.get("target")),
        "score": score,
        "extracted": values.name(values.first(verdict, PREDICTED)),
    }


def _kinds(verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """Vinoground's two questions of a clip have one index, and a kind each."""
    both = values.names(verdict, ("index", "question_type"))
    return ("_".join(both),) if len(both) == 2 else ()


def _texts(found: Any) -> tuple[str, ...] | None:
    """The responses, one or several, out of the lists around them; None where they are no text."""
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, list):
        return tuple(found) if found and all(isinstance(one, str) for one in found) else None
    return (found,) if isinstance(found, str) else None


def _reasoning(row: Fields, texts: tuple[str, ...]) -> str:
    """What stood in the raw response before the one that was scored."""
    raw = _texts(row.get("resps"))
    if raw is None or len(raw) != 1 or len(texts) != 1 or raw == texts:
        return ""
    return raw[0].removesuffix(texts[0]).strip()


def _score(metric: Any) -> float | None:
    if not isinstance(metric, Mapping):
        return values.score(metric)
    given = next((one for key in SCORES if (one := values.score(metric.get(key))) is not None), None)
    predicted, true = values.first(metric, PREDICTED), values.first(metric, TRUE)
    if given is not None or true is None or not any(key in metric for key in PREDICTED):
        return given
    return float(values.text(predicted).lower() == values.text(true).lower())


def _media(row: Fields) -> str:
    media = row.get("input_media")
    for one in media if isinstance(media, list) else ():
        found = values.first(one, ("path", "video", "url", "file")) if isinstance(one, Mapping) else one
        if name := values.name(found):
            return name
    return ""


_NAME = re.compile(r"(?P<date>\d{8}_\d{6}|\d{4}-\d\d-\d\dT[\d.-]+)_samples_(?P<task>.+)")
MODEL = ("model", "pretrained", "model_version", "model_name", "model_path")
WHERE = frozenset(
    {"base_url", "api_key", "device", "device_map", "tensor_parallel_size", "batch_size", "gpu_memory_utilization"}
    | {"trust_remote_code", "dtype", "max_num_seqs", "num_concurrent", "enforce_eager", "skip_mm_profiling"}
)
"""Settings of an engine that are no part of a protocol."""


def about(row: Fields, path: Path) -> About:
    """What the file's name and the results file of the same date tell."""
    match = _NAME.fullmatch(path.stem)
    task = match["task"] if match else path.stem
    beside = [path.with_name(f"{match['date']}_results.json")] if match else []
    for one in beside:
        try:
            if one.stat().st_size <= LARGEST_LOG and isinstance(log := json.loads(one.read_bytes()), dict):
                return told("lmms-eval", task, log)
        except (OSError, ValueError, RecursionError):
            continue
    return About("lmms-eval", task=task)


def told(harness: str, task: str, log: Mapping[str, Any]) -> About:
    """What a results file of lmms-eval or lm-evaluation-harness tells of a task's run."""
    config = log["config"] if isinstance(log.get("config"), Mapping) else {}
    tasks = log["configs"] if isinstance(log.get("configs"), Mapping) else {}
    own = tasks[task] if isinstance(tasks.get(task), Mapping) else {}
    arguments = _arguments(config.get("model_args"))
    generation = {
        **(own["generation_kwargs"] if isinstance(own.get("generation_kwargs"), Mapping) else {}),
        **_arguments(config.get("gen_kwargs")),
    }
    model = values.name(log.get("model_name") or values.first(arguments, MODEL) or config.get("model"))
    model = PurePosixPath(model).name if model[:1] in ("/", ".", "~") else model
    settings = {key: value for key, value in arguments.items() if key not in (*MODEL, *WHERE)}
    return About(
        harness,
        version=values.name(values.first(log, ("lmms_eval_version", "lm_eval_version", "git_hash"))),
        model=model,
        task=task,
        settings={key: value for key, value in (*settings.items(), *generation.items()) if _plain(value)},
        decoding=decoding(generation),
    )


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _arguments(given: Any) -> dict[str, Any]:
    """Settings as a table, or written "a=1,b=2"."""
    if isinstance(given, Mapping):
        return dict(given)
    pairs = (pair.partition("=") for pair in given.split(",")) if isinstance(given, str) else ()
    return {key.strip(): value for key, equals, value in pairs if equals}


def decoding(generation: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a protocol's decoding among generation settings, under the names that harnesses have for them."""
    greedy = str(generation.get("do_sample", "")).lower() == "false"
    found = {
        "max_tokens": values.whole(values.first(generation, ("max_new_tokens", "max_tokens", "max_gen_toks"))),
        "temperature": 0.0 if greedy else values.number(generation.get("temperature")),
        "top_p": None if greedy else values.number(generation.get("top_p")),
        "top_k": None if greedy else values.whole(generation.get("top_k")),
        "stop": _stops(values.first(generation, ("until", "stop", "stop_seqs"))),
    }
    return {key: value for key, value in found.items() if value is not None}


def _stops(given: Any) -> list[str] | None:
    stops = [given] if isinstance(given, str) else given
    return [one for one in stops if isinstance(one, str) and one] or None if isinstance(stops, list) else None


FORMAT = Format("lmms-eval", _recognises, answers, about)
