"""Writes tasks in the form lmms-eval reads: a YAML and a JSONL each, groups, the videos, and how to run them.

Example:
    export(plan, options, Path("exported"), cache)
    # ['viubench_count_easy', ...]
    # $ python -m lmms_eval --include_path exported --tasks viubench_mini --model vllm_generate ...

The clock of an exported question. lmms-eval gives a model the time of a frame as its number over the file's rate, so
every file starts at second 0, while the frames of a pretext item start some seconds into its source. Where the answer
is in seconds and the file was written here, all times of the question are therefore those of the file, and a true
answer still scores 1. `scoring/items.jsonl` holds the items on this clock, so that `viubench score` gives equal answers
equal scores; they cannot be run, their frames are those of the files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from evaluators import Evaluator
from evaluators.temporal_iou import TemporalIoU
from viubench.engines.base import Response
from viubench.engines.baselines import AnswersEngine
from viubench.errors import MediaError, ViubenchError
from viubench.export import lmms_readme, lmms_scoring, lmms_tasks, video_files
from viubench.export.video_files import File
from viubench.runner import planning
from viubench.runner.config import EvalConfig
from viubench.runner.pipeline import frame_requests, graded
from viubench.runner.plan import Plan
from viubench.schema import Decoding, GroundItem, Item, Manifest, Sample, Suite, Task
from viubench.scoring.aggregate import items_hash, summarise
from viubench.storage import atomic, output
from viubench.version import __version__
from viubench.video.process_pool import KillablePool

WRITE_SECONDS = 600.0  # wall limit for decoding and writing the videos of one question

Progress = Callable[[int, int], None]


def exported_name(name: str) -> str:
    """Our task or suite under lmms-eval: its own tasks win over equal names, so all of ours begin with "viubench"."""
    name = name.replace("-", "_")
    return name if name.startswith("viubench") else f"viubench_{name}"


def export(
    planned: Plan,
    options: EvalConfig,
    *,
    copy: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[str]:
    """Write the planned samples; an interrupted export resumes when it is started again.

    Args:
        options: of the plan: the export goes to `out`, and its `decoders` decode and write videos.
        copy: put the publishers' videos into `out/media` too, instead of naming them where they lie.
        progress: called with questions whose videos are ready, and questions.

    Returns:
        What to give to lmms-eval's `--tasks` for all of it: groups, and tasks that are in none of them.

    Raises:
        ViubenchError: a video cannot be used, or a name would stand for two things.
    """
    out = options.run_folder
    names = _names(planned)
    missing = planning.missing(planned)
    if missing.samples:
        raise ViubenchError(
            f"{missing.samples} of {missing.total} questions have videos that cannot be used; "
            f"the first: {missing.lines()[0]}",
            hint="an export holds every question or none: fetch the videos, or name other tasks",
        )
    output.folder(out, "--out")
    files = _files(planned, options, copy, progress)
    tasks, scorers = planned.tasks, planned.evaluators
    samples = [on_file_clock(s, files[s.id], tasks[s.task], scorers[s.task]) for s in planned.samples]
    manifest = _manifest(planned, samples, options)
    for task in tasks.values():
        own = [sample for sample in samples if sample.task == task.task]
        rows = (json.dumps(_row(sample, files[sample.id]), ensure_ascii=False) + "\n" for sample in own)
        atomic.write(out / f"{names[task.task]}.jsonl", "".join(rows).encode())
        config = _task_config(names[task.task], task, manifest, planned.protocols[task.task].decoding)
        _write_yaml(out / f"{names[task.task]}.yaml", config)
    for suite in planned.suites:
        for group, config in _group_configs(suite).items():
            _write_yaml(out / f"{group}.yaml", config)
    _write_items(out / "scoring", samples, files, planned)
    atomic.write(out / lmms_scoring.MANIFEST, manifest.model_dump_json(by_alias=True, indent=1).encode())
    shutil.copyfile(str(lmms_tasks.__file__), out / "viubench_tasks.py")
    together = _together(planned, names)
    atomic.write(out / "README.md", lmms_readme.text(planned, names, together, files).encode())
    return together


def _names(planned: Plan) -> dict[str, str]:
    """Our task name -> its name under lmms-eval; every YAML of the export has a name of its own."""
    names = {task: exported_name(task) for task in planned.tasks}
    taken = [*names.values(), *(name for suite in planned.suites for name in _group_configs(suite))]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ViubenchError(f"{twice[0]!r} would be the name of two exported tasks or groups", where="--tasks")
    if judged := [task for task, scorer in planned.evaluators.items() if scorer.needs_judge]:
        raise ViubenchError(f"{judged[0]} is scored by a judge, which an export does not hold", where="--tasks")
    if foreign := [task for task in planned.tasks if task.startswith("lmms:")]:
        raise ViubenchError(f"{foreign[0]} is lmms-eval's own task", hint="name it there without the prefix lmms:")
    return names


def _together(planned: Plan, names: Mapping[str, str]) -> list[str]:
    """Groups and tasks that name every task once: lmms-eval refuses groups that share a task."""
    left, chosen = dict(names), []
    for suite in planned.suites:
        if all(task in left for task in suite.tasks):
            chosen.append(exported_name(suite.suite))
            left = {task: name for task, name in left.items() if task not in suite.tasks}
    return [*chosen, *left.values()]


def _files(planned: Plan, options: EvalConfig, copy: bool, progress: Progress) -> dict[str, list[File]]:
    """The files each question shows, by its id, written in worker processes where they must be."""
    ready: dict[str, list[File]] = {}
    with KillablePool(options.decoders, WRITE_SECONDS) as pool:
        in_flight = {sample.id: list(_places(planned, sample, options, copy, pool)) for sample in planned.samples}
        try:
            for done, (name, places) in enumerate(in_flight.items(), start=1):
                ready[name] = [
                    file for place in places for file in (place if isinstance(place, list) else place.result())
                ]
                progress(done, len(in_flight))
        except MediaError as error:
            message = f"a video cannot be used: {error}"
            raise ViubenchError(message, hint="an export holds every question or none") from error
    return ready


def _places(
    planned: Plan, sample: Sample, options: EvalConfig, copy: bool, pool: KillablePool
) -> Iterator[list[File] | Future[list[File]]]:
    """The file of each clip of a question, or its writing; the clips of a pretext item make its videos together."""
    out, cache, requests = options.run_folder, options.cache, frame_requests(sample, planned)
    for group in [requests] if sample.pretext else [[request] for request in requests]:
        root, clip, _, _ = group[0]
        if video_files.is_file(clip) and not sample.pretext:
            yield [video_files.own_file(clip, root, out, cache, copy=copy)]
        else:
            yield pool.submit(video_files.written, cache.root, sample, group, out, name=clip.path)


def on_file_clock(sample: Sample, files: Sequence[File], task: Task, evaluator: Evaluator) -> Sample:
    """The sample with its times counted from the first frame of its file, where its answer is in seconds.

    The window of a pretext item is read off the edges of its frames again, rounded as a build rounds it. Raises
    ViubenchError where the question itself names seconds of the source.
    """
    start = files[0].start if len(files) == 1 else 0.0
    if not start or not isinstance(evaluator, TemporalIoU):
        return sample
    if "{start}" in task.question or "{end}" in task.question:
        message = f"the question of {task.task} names seconds of the source video, but an exported file starts at 0"
        raise ViubenchError(message, hint="word it without {start} and {end}")

    def moved(seconds: float, digits: int = 3) -> float:
        return max(round(round(seconds - start, 3), digits), 0.0)

    params = dict(sample.params)
    if "times" in params:
        params["times"] = [moved(time) for time in params["times"]]
    target: Any
    if isinstance(sample.pretext, GroundItem):
        low, high = (sample.pretext.times[edge] for edge in sample.pretext.segment)
        digits = 1 if moved(low, 1) < moved(high, 1) else 3
        target = [moved(low, digits), moved(high, digits)]
    elif isinstance(sample.target[0], list | tuple):
        target = [[moved(low), moved(high)] for low, high in sample.target]
    else:
        target = [moved(second) for second in sample.target]
    answer = evaluator.canonical(target)
    return replace(sample, params=params, target=target, answer_text=answer)


def _row(sample: Sample, files: Sequence[File]) -> dict[str, Any]:
    """One line of a task's JSONL. The sample is text in it: a column of JSON data would have to be of one type."""
    return {
        "id": sample.id,
        "question": sample.question,
        "media": [file.path for file in files],
        "answer": sample.answer_text,
        "cluster": sample.cluster,
        "sample": replace(sample, clips=(), pretext=None).to_json(),
    }


def _write_items(folder: Path, samples: Sequence[Sample], files: Mapping[str, list[File]], planned: Plan) -> None:
    """The pretext items on the files' clock as a build folder, for `viubench score`.

    Their video is the exported file, not what they were drawn from: they cannot be run.
    """
    items = [
        Item(
            id=sample.id,
            task=sample.task,
            video=files[sample.id][0].path,
            cluster=sample.cluster,
            seed=sample.seed,
            params=sample.pretext.model_copy(update={"times": tuple(sample.params["times"])}),
            question=sample.question,
            answer=sample.answer_text,
        )
        for sample in samples
        if sample.pretext
    ]
    if not items:
        return
    folder.mkdir(exist_ok=True)
    about = {
        "tasks": {item.task: planned.tasks[item.task].model_dump(mode="json") for item in items},
        "videos_root": "..",
        "recipe": {"recipe": next((suite.suite for suite in planned.suites), "")},
    }
    lines = "".join(item.model_dump_json() + "\n" for item in items)
    atomic.write(folder / "items.jsonl", lines.encode())
    atomic.write(folder / "build.json", json.dumps(about, indent=1).encode())


def _manifest(planned: Plan, samples: Sequence[Sample], options: EvalConfig) -> Manifest:
    """The manifest of a run whose answers come from elsewhere; each task also names the metrics it has (`columns`)."""
    plain = planning.manifest(planned, AnswersEngine("lmms-eval"), options)
    plan = lmms_scoring.plan_of(plain)
    oracle = [graded(sample, Response(sample.answer_text), plan, None, {}) for sample in samples]
    results = summarise(oracle, plain.model_copy(update={"suites": {}}))
    tasks = {
        name: about.model_copy(
            update={
                "items_hash": items_hash((s.id, s.target_hash()) for s in samples if s.task == name),
                "columns": list(lmms_scoring.columns(results.tasks[name])),
            }
        )
        for name, about in plain.tasks.items()
    }
    return plain.model_copy(update={"tasks": tasks})


class _Function(str):
    """The name of a function in the exported `viubench_tasks.py`."""


class _Dumper(yaml.SafeDumper):
    """YAML in which a `_Function` carries the tag that lmms-eval imports by."""


_Dumper.add_representer(_Function, lambda dumper, name: dumper.represent_scalar("!function", f"viubench_tasks.{name}"))


def _write_yaml(path: Path, config: Mapping[str, Any]) -> None:
    text = yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    atomic.write(path, text.encode())


def _task_config(name: str, task: Task, manifest: Manifest, decoding: Decoding) -> dict[str, Any]:
    functions = ("doc_to_visual", "doc_to_text", "doc_to_messages", "doc_to_target", "process_results")
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        **{function: _Function(function) for function in functions},
        "generation_kwargs": {
            "max_new_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "do_sample": decoding.temperature > 0,
            "top_p": decoding.top_p,
            **({"top_k": decoding.top_k} if decoding.top_k else {}),
            "num_beams": 1,
            "until": list(decoding.stop),
        },
        "metric_list": [
            {"metric": column, "aggregation": _Function("aggregate"), "higher_is_better": True}
            for column in manifest.tasks[task.task].columns
        ],
        "cluster_key": "cluster",
        "metadata": {"version": task.metadata.version, "viubench": __version__, "headline": task.metric},
    }


def _group_configs(suite: Suite) -> dict[str, dict[str, Any]]:
    """The groups that stand for a suite, by name. lmms-eval averages a group over all its tasks: a suite that is a mean
    of benchmarks becomes one group for each and one that holds these, without a number of its own."""
    name = exported_name(suite.suite)
    mean = {"metric": lmms_scoring.HEADLINE, "aggregation": "mean", "weight_by_size": False}

    def averaged(group: str, tasks: Sequence[str]) -> dict[str, Any]:
        return {"group": group, "task": list(map(exported_name, tasks)), "aggregate_metric_list": [mean]}

    if suite.average == "tasks":
        return {name: averaged(name, suite.tasks)}
    parts = {f"{name}_group_{key.replace('-', '_')}": tasks for key, tasks in suite.groups.items()}
    whole = {name: {"group": name, "task": list(parts)}}
    return whole | {part: averaged(part, tasks) for part, tasks in parts.items()}
