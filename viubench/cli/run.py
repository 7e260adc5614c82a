"""`viubench run` and `viubench score`: answer or take answers, grade, write a run folder, print the table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Tasks = Annotated[str, typer.Option("--tasks", "--task", help="Tasks or suites, comma separated, or a build folder.")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; one that is there goes on where it stopped.")]
Videos = Annotated[Path | None, typer.Option("--videos", help="Folder of videos to make pretext items from.")]
DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Folder with ready items or benchmark data.")]
Include = Annotated[list[Path], typer.Option("--include-path", help="More folders with task YAML files.")]
Fresh = Annotated[bool, typer.Option("--fresh/--resume", help="Start the run folder again instead of going on.")]
MaxErrors = Annotated[float, typer.Option(help="Share of media and engine errors above which the run is invalid.")]
Protocol = Annotated[str | None, typer.Option(help="Protocol by name or YAML file, instead of the task's.")]
Frames = Annotated[int | None, typer.Option(min=1, help="Frames per video, at most.")]
Fps = Annotated[float | None, typer.Option(min=0.01, help="Frames per second, --frames at most.")]
MaxPixels = Annotated[int | None, typer.Option(min=1024, help="Pixels per frame, at most.")]
Limit = Annotated[int | None, typer.Option(min=1, help="First N samples of each task.")]
FrameCache = Annotated[Path | None, typer.Option(help="Where decoded frames are kept.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Decoding processes.")]
Replicas = Annotated[
    int | None, typer.Option("--replicas", min=1, help="Engine processes, a GPU each (tensor_parallel_size GPUs each).")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Answers that depend on nothing asked before or beside; slower.")
]
EngineArgs = Annotated[list[str], typer.Option("--engine-arg", help="K=V, passed to the engine; repeatable.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("score")(score)


def run(
    tasks: Tasks,
    out: Out,
    model: Annotated[str | None, typer.Option(help="Checkpoint folder, hub id, or the server's model name.")] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="vllm, hf, server, ray:vllm, ray:hf, random, blind or oracle; vllm where installed, else hf."
        ),
    ] = None,
    replicas: Replicas = None,
    base_url: Annotated[list[str], typer.Option(help="Server endpoint; several share the load.")] = [],  # noqa: B006
    videos: Videos = None,
    data_root: DataRoot = None,
    protocol: Protocol = None,
    frames: Frames = None,
    fps: Fps = None,
    max_pixels: MaxPixels = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Seed of items and of the random engine.")] = 0,
    fresh: Fresh = False,
    frame_cache: FrameCache = None,
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes, of each replica.")] = 2,
    engine_arg: EngineArgs = [],  # noqa: B006
    deterministic: Deterministic = False,
    include_path: Include = [],  # noqa: B006
    max_errors: MaxErrors = 0.01,
    filmstrips: Annotated[
        int, typer.Option(min=0, help="Samples of each task whose frames are kept for the pages.")
    ] = 12,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count samples, tokens and missing media; no engine.")
    ] = False,
    quiet: Quiet = False,
    debug: Annotated[bool, typer.Option("--debug", help="Full tracebacks and engine logs.")] = False,
) -> None:
    """Answer tasks with a model, score the answers, write a run folder and print the table."""
    from viubench.cli.job import Job, default_engine, pairs
    from viubench.runner.collect import Wishes
    from viubench.runner.parallel.layout import Layout

    wishes = Wishes(tasks, videos, data_root, protocol, frames, fps, max_pixels, limit, seed, workers)
    layout = Layout.read(engine or default_engine(model, base_url), replicas, pairs(engine_arg))
    includes, args = tuple(include_path), layout.engine_args
    job = Job(
        wishes, out, includes, frame_cache, max_errors, quiet, debug, filmstrips, args, deterministic, layout
    )  # fmt: skip
    if dry_run:
        job.dry_run(layout.kind, model)
    else:
        raise typer.Exit(job.run(layout.kind, model, base_url, fresh=fresh))


def score(
    tasks: Tasks,
    responses: Annotated[Path, typer.Option(help='Lines {"id": ..., "response": ...}.')],
    out: Out,
    model: Annotated[str | None, typer.Option(help="Name to show; the responses file's name by default.")] = None,
    videos: Videos = None,
    data_root: DataRoot = None,
    samples: Annotated[Path | None, typer.Option(help="Item rows the responses belong to (items.jsonl).")] = None,
    seed: Annotated[int, typer.Option(help="Seed the items were built with.")] = 0,
    fresh: Fresh = False,
    include_path: Include = [],  # noqa: B006
    max_errors: MaxErrors = 0.01,
    quiet: Quiet = False,
) -> None:
    """Score ready answers: no engine, no video is opened when items are given."""
    from viubench.cli.job import Job
    from viubench.runner.collect import Wishes

    wishes = Wishes(tasks, videos, samples or data_root, seed=seed)
    job = Job(wishes, out, tuple(include_path), None, max_errors, quiet=quiet)
    raise typer.Exit(job.score(responses, model or responses.stem, fresh=fresh))
