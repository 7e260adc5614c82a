"""Evaluate a model, or answers that are there already; what the command line does, without printing.

Example:
    run = evaluate("Qwen/Qwen3-VL-8B-Instruct", ["viubench-mini"], engine="vllm", videos="my_clips")
    run.results.tasks["viubench_count_easy"].value
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

from viubench.api.run import Run
from viubench.engines.baselines import AnswersEngine
from viubench.errors import did_you_mean
from viubench.runner.config import MAX_ERRORS, EvalConfig, PathLike, Progress, Rows
from viubench.runner.dry_run import DryRun, forecast
from viubench.runner.evaluate import ActiveRun
from viubench.runner.event_loop import in_event_loop
from viubench.runner.responses import matched, read_responses
from viubench.schema import Task
from viubench.storage.run_dir import read_manifest, read_results
from viubench.system.tracking import Tracker, facts_of

TYPED = {
    "fresh": "--fresh is resume=False",
    "engine_arg": "--engine-arg K=V is engine_args={'K': V}",
    "dry_run": "--dry-run is the function viubench.dry_run",
    "quiet": "nothing is printed in any case",
    "follow_links": "set VIUBENCH_FOLLOW_LINKS=1 in os.environ",
}
"""Options of the command that have another form in Python."""

P = ParamSpec("P")
T = TypeVar("T")


def _takes(options: Callable[P, EvalConfig]) -> Callable[[Callable[[EvalConfig], T]], Callable[P, T]]:
    """Let a function of an `EvalConfig` be called with the keywords of `options`, and show them in its help."""

    known = inspect.signature(options).parameters

    def decorate(function: Callable[[EvalConfig], T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for name in kwargs.keys() - known.keys():
                hint = did_you_mean(name, tuple(known), f"see help(viubench.{function.__name__})")
                raise TypeError(f"{function.__name__}() has no {name!r}; {TYPED.get(name, hint)}")
            return function(options(*args, **kwargs))

        keywords = (options.__doc__ or "").partition("Args:")
        call.__doc__ = f"{function.__doc__}\n\n    {''.join(keywords[1:])}"
        call.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]
        return call

    return decorate


@_takes(EvalConfig)
def evaluate(config: EvalConfig) -> Run:
    """Answer tasks with a model, score the answers, write a run folder.

    Works inside a running event loop too (a notebook). Prints nothing; what a user should know is logged to the
    logger `viubench`. A run whose share of errors is above `max_errors` is returned all the same: see `Run.valid`.
    """
    config, temporary = placed(config)
    with _tracker(config) as tracker, ActiveRun.open(_tracked(config, tracker)) as active:
        in_event_loop(active.answer())
        active.finish()
        _track_scores(active, tracker)
    return Run(active.out, max_errors=config.max_errors, temporary=temporary)


@_takes(EvalConfig)
async def evaluate_async(config: EvalConfig) -> Run:
    """`evaluate` for callers that are coroutines themselves."""
    config, temporary = placed(config)
    with _tracker(config) as tracker, await asyncio.to_thread(ActiveRun.open, _tracked(config, tracker)) as active:
        await active.answer()
        await asyncio.to_thread(active.finish)
        _track_scores(active, tracker)
    return Run(active.out, max_errors=config.max_errors, temporary=temporary)


@_takes(EvalConfig)
def dry_run(config: EvalConfig) -> DryRun:
    """What `evaluate` would need: samples, tokens, prompts that are too long, media that is missing, memory."""
    config, temporary = placed(config)
    try:
        return forecast(config)
    finally:
        if temporary is not None:
            temporary.cleanup()


def score(
    tasks: PathLike | Task | Rows | Sequence[PathLike | Task | Rows],
    responses: PathLike | Mapping[str, str] | Iterable[Mapping[str, Any]],
    *,
    model: str | None = None,
    videos: PathLike | None = None,
    data_root: PathLike | None = None,
    samples: PathLike | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    resume: bool = True,
    include_path: PathLike | Iterable[PathLike] = (),
    columns: Mapping[str, str] | None = None,
    answer_kind: str | None = None,
    max_errors: float = MAX_ERRORS,
    progress: Callable[[Progress], None] | None = None,
    argv: Sequence[str] = (),
) -> Run:
    """Score answers that are there already: no engine, and no video is opened when items are given.

    Args:
        tasks: as in `evaluate`.
        responses: a JSONL file with lines `{"id": ..., "response": ...}`, such rows, or sample id -> response.
        model: name to show; that of the file by default.
        samples: item rows the responses belong to (items.jsonl).

    Raises:
        ViubenchError: a row that cannot be read, a response that belongs to no sample, or options as in `evaluate`.
    """
    texts, where = read_responses(responses)
    engine = AnswersEngine(model or Path(where).stem)
    config, temporary = placed(
        EvalConfig(
            engine,
            tasks,
            videos=videos,
            data_root=samples or data_root,
            seed=seed,
            out=out,
            resume=resume,
            include_path=include_path,
            columns=columns,
            answer_kind=answer_kind,
            max_errors=max_errors,
            progress=progress,
            argv=argv,
        )
    )
    with ActiveRun.open(config) as active:
        engine.texts = matched(texts, active.plan.samples, where)
        in_event_loop(active.answer())
        active.finish()
    return Run(active.out, max_errors=max_errors, temporary=temporary)


def _tracker(config: EvalConfig) -> Tracker:
    """The run's tracker, which is started by its first answer."""
    return Tracker.open(config.track, config.run_folder, lambda: facts_of(read_manifest(config.run_folder)))


def _tracked(config: EvalConfig, tracker: Tracker) -> EvalConfig:
    return replace(config, progress=tracker.following(config.progress))


def _track_scores(active: ActiveRun, tracker: Tracker) -> None:
    if active.config.track is not None and active.plan.shard is None:  # a shard has no scores of its own
        tracker.scores(read_results(active.out))


def placed(config: EvalConfig) -> tuple[EvalConfig, TemporaryDirectory[str] | None]:
    """The options with a run folder: a temporary one where none was named."""
    if config.out is not None:
        return config, None
    temporary = TemporaryDirectory(prefix="viubench-", ignore_cleanup_errors=True)
    return replace(config, out=Path(temporary.name, "run")), temporary
