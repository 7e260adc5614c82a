"""A run in the Every Eval Ever schema 0.3.0 (arXiv 2606.14516): a JSON file a task, and its samples beside it.

Example:
    write(FinishedRun.read(Path("runs/a")), Path("out"), Evaluated("Qwen/Qwen3-VL-8B", "My lab"))
    # [PosixPath('out/data/Video-MME/Qwen/Qwen3-VL-8B/2f1c...-....json'), ...]

The folders are those of the schema's data store: data / data set / developer / model. The file names follow from the
run, so that a second export replaces the first.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from uuid import UUID

from viubench.export.finished import FinishedRun, FinishedTask, file_name
from viubench.judging.verdict_log import FOLDER
from viubench.schema import JudgedScore, Record, TaskResult
from viubench.storage import atomic
from viubench.storage.run_dir import read_manifest
from viubench.storage.secrets import mask
from viubench.version import __version__

SCHEMA = "0.3.0"

Relationship = Literal["first_party", "third_party", "collaborative", "other"]
FIELDS = ("input_tokens", "output_tokens", "total_tokens")


@dataclass(frozen=True)
class Evaluated:
    """Who evaluated which model (ORG/NAME), and how the two belong together."""

    model_id: str
    organization: str
    relationship: Relationship = "third_party"


def write(run: FinishedRun, out: Path, by: Evaluated) -> list[Path]:
    """Write every task below `out / "data"`; returns the paths. One that a judge alone scores has no samples file."""
    now = str(int(time.time()))
    return [path for task in run.tasks for path in _write(run, task, out, by, now)]


def _write(run: FinishedRun, task: FinishedTask, out: Path, by: Evaluated, now: str) -> list[Path]:
    developer, _, model = by.model_id.partition("/")
    place = PurePosixPath("data", file_name(_source(task)["dataset_name"]), file_name(developer), file_name(model))
    name = _uuid(run, task, by)
    evaluation = f"{task.name}/{by.model_id}/{now}"
    ruled = not task.result.needs_judge
    aggregate = {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation,
        "evaluation_timestamp": run.manifest.started,
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": "viubench",
            "source_type": "evaluation_run",
            "source_organization_name": by.organization,
            "evaluator_relationship": by.relationship,
        },
        "eval_library": {"name": "viubench", "version": run.manifest.packages.get("viubench", __version__)},
        "model_info": _model(run, by.model_id),
        "evaluation_results": ([_ruled(run, task)] if ruled else []) + list(_judged(run, task)),
    }
    files: dict[str, bytes] = {}
    if ruled:
        rows = [_row(task, own, evaluation, by.model_id) for own in task.answers]
        lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        samples = f"{name}_samples.jsonl"
        files[samples] = lines.encode(errors="backslashreplace")
        aggregate["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": str(place / samples),
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(files[samples]).hexdigest(),
            "total_rows": len(rows),
        }
    text = json.dumps(aggregate, indent=2, ensure_ascii=False, allow_nan=False)
    files[f"{name}.json"] = f"{text}\n".encode(errors="backslashreplace")
    (out / place).mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        atomic.write(out / place / file, content)
    return sorted(out / place / file for file in files)


def _uuid(run: FinishedRun, task: FinishedTask, by: Evaluated) -> UUID:
    """A name of the form that the schema asks for (version 4), the same for the same run."""
    about = [by.model_id, task.name, task.result.protocol_hash, task.result.items_hash, run.manifest.started]
    return UUID(bytes=hashlib.sha256("\0".join(about).encode()).digest()[:16], version=4)


def _model(run: FinishedRun, model_id: str) -> dict[str, Any]:
    model, engine = run.manifest.model, run.manifest.engine
    local = engine["kind"] in ("vllm", "hf")
    info: dict[str, Any] = {
        "name": str(model["name"]),
        "id": model_id,
        "developer": model_id.partition("/")[0],
        "additional_details": {
            "deployment_type": "self_deployed" if local else "unknown",
            "model_availability": "open_weights" if local and model.get("revision") else "unknown",
            **{key: str(model[key]) for key in ("revision", "fingerprint", "architecture") if model.get(key)},
        },
    }
    if local:
        info["inference_engine"] = {"name": str(engine["kind"]), "version": str(engine.get("version", "unknown"))}
    return info


def _source(task: FinishedTask) -> dict[str, Any]:
    if task.task is None or not task.data_set:
        return {"dataset_name": task.name, "source_type": "other"}
    known: dict[str, Any] = {
        "dataset_name": task.data_set.rpartition("/")[2],
        "source_type": "hf_dataset",
        "hf_repo": task.data_set,
        "hf_split": task.task.split,
        "samples_number": task.entry.expected,
    }
    source: dict[str, Any] = {key: value for key, value in known.items() if value}
    if task.entry.revision:
        source["additional_details"] = {"revision": task.entry.revision}
    return source


def _ruled(run: FinishedRun, task: FinishedTask) -> dict[str, Any]:
    """The score by rules."""
    return {"evaluation_result_id": _result_id(task), **_result(run, task, task.result, task.about)}


def _judged(run: FinishedRun, task: FinishedTask) -> Iterator[dict[str, Any]]:
    """The score by each judge of the run, with how it was asked and how far it agrees with rules and labels."""
    for one in run.judged:
        found = one.tasks.get(task.name)
        if found is None or found.judged is None:
            continue
        protocol = read_manifest(run.path / FOLDER / one.judge).protocols[task.name]
        agreements = {"rules": found.read, "labels": found.labels, "itself swapped": found.swapped}
        about = {
            **task.about,
            "judged_hash": found.hash,
            "judge_errors": str(found.judge_errors),
            "bounds": "{:g} to {:g}".format(*found.judged.bounds),
            **{f"accuracy_against_{key}": f"{it.accuracy}" for key, it in agreements.items() if it and it.n},
        }
        prompts = protocol.judge.prompts if protocol.judge else {}
        judge = {
            "name": one.model,
            "id": one.model,
            "additional_details": {"deployment_type": "unknown", "model_availability": "unknown"},
        }
        result = _result(run, task, found.judged, about)
        result["evaluation_result_id"] = f"{_result_id(task)}/{one.judge}"
        result["metric_config"]["llm_scoring"] = {
            "judges": [{"model_info": judge, "temperature": protocol.decoding.temperature}],
            "input_prompt": prompts.get(found.form) or "\n\n".join(prompts.values()),
        }
        yield result


def _result(
    run: FinishedRun, task: FinishedTask, score: TaskResult | JudgedScore, about: Mapping[str, str]
) -> dict[str, Any]:
    """One score of a task, with its interval, which is clustered by source video."""
    return {
        "evaluation_name": task.name,
        "source_data": _source(task),
        "evaluation_timestamp": run.manifest.started,
        "metric_config": {
            "evaluation_description": (task.task.description if task.task else "") or task.name,
            "metric_id": task.result.metric,
            "metric_name": task.result.metric,
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": score.value,
            "details": about,
            "uncertainty": {
                "standard_error": {"value": score.se, "method": "analytic, clustered by source video"},
                "confidence_interval": {
                    "lower": score.ci[0],
                    "upper": score.ci[1],
                    "confidence_level": 0.95,
                    "method": "clustered by source video",
                },
                "num_samples": score.n,
            },
        },
        "generation_config": _generation(run, task),
    }


def _generation(run: FinishedRun, task: FinishedTask) -> dict[str, Any]:
    decoding, thinking = task.protocol.decoding, task.protocol.chat.thinking
    arguments: dict[str, Any] = {"execution_command": mask(shlex.join(run.manifest.argv))}
    if task.protocol.imported is None and not decoding.generation_config:
        arguments |= {"temperature": decoding.temperature, "top_p": decoding.top_p, "max_tokens": decoding.max_tokens}
        arguments |= {"top_k": decoding.top_k} if decoding.top_k else {}
    if thinking != "default":
        arguments["reasoning"] = thinking == "on"
    return {"generation_args": arguments, "additional_details": task.about}


def _result_id(task: FinishedTask) -> str:
    return f"{task.name}/{task.result.metric}"


def _row(task: FinishedTask, records: Sequence[Record], evaluation: str, model_id: str) -> dict[str, Any]:
    """One sample, with all answers to it."""
    first, target, score = records[0], task.text(records[0].target), task.score(records)
    failures = [record.error.fault for record in records if record.error is not None]
    row: dict[str, Any] = {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation,
        "model_id": model_id,
        "evaluation_name": task.name,
        "evaluation_result_id": _result_id(task),
        "sample_id": first.id,
        "sample_hash": hashlib.sha256(f"{first.question}{target}".encode(errors="backslashreplace")).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": first.question, "reference": [target]},
        "output": {"raw": [record.response or "" for record in records]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": task.text(record.answer),
                "extraction_method": record.rule or "custom",
                "is_terminal": True,
            }
            for record in records
            if record.status == "ok"
        ],
        "evaluation": {"score": score, "is_correct": score >= 1 - 1e-9},
        "token_usage": _usage(records),
        "error": "; ".join(dict.fromkeys(failures)) or None,
        "metadata": {
            **{key: value if isinstance(value, str) else ", ".join(value) for key, value in first.groups.items()},
            "video": first.cluster,
            "statuses": ", ".join(record.status for record in records),
        },
    }
    if any(record.reasoning for record in records):
        row["output"]["reasoning_trace"] = [record.reasoning or "" for record in records]
    if len(records) == 1 and "engine" in first.seconds:
        row["performance"] = {"generation_time_ms": 1000 * first.seconds["engine"]}
    return row


def _usage(records: Sequence[Record]) -> dict[str, int] | None:
    """Tokens of all answers together; None where one has no count."""
    if not all({"prompt_tokens", "completion_tokens"} <= record.usage.keys() for record in records):
        return None
    prompt, said = (sum(record.usage[key] for record in records) for key in ("prompt_tokens", "completion_tokens"))
    return dict(zip(FIELDS, (prompt, said, prompt + said), strict=True))
