"""`viubench run` and `viubench score`: `viubench.evaluate` and `viubench.score`, with bars and a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.errors import Exit, ViubenchError

Tasks = Annotated[
    str, typer.Option("--tasks", "--task", help="Tasks, suites, YAML files or item folders; comma separated.")
]
Out = Annotated[Path, typer.Option("--out", help="Run folder; one that is there is resumed.")]
Videos = Annotated[Path | None, typer.Option("--videos", help="Folder of videos to build pretext items from.")]
DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Folder with ready items or benchmark data.")]
Include = Annotated[list[Path], typer.Option("--include-path", help="More folders with task YAML files.")]
Fresh = Annotated[bool, typer.Option("--fresh/--resume", help="Start the run folder again instead of resuming it.")]
MaxErrors = Annotated[float, typer.Option(help="Share of media and engine errors above which the run is invalid.")]
Protocol = Annotated[str | None, typer.Option(help="Protocol by name or YAML file, instead of the task's.")]
Frames = Annotated[int | None, typer.Option(min=1, help="Frames per video, at most.")]
Fps = Annotated[float | None, typer.Option(min=0.01, help="Frames per second, --frames at most.")]
MaxPixels = Annotated[int | None, typer.Option(min=1024, help="Pixels per frame, at most.")]
Limit = Annotated[int | None, typer.Option(min=1, help="First N samples of each task.")]
FrameCache = Annotated[Path | None, typer.Option(help="Folder of the frame cache.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Decoding processes.")]
Replicas = Annotated[
    int | None, typer.Option("--replicas", min=1, help="Engine processes, a GPU each (tensor_parallel_size GPUs each).")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Each answer depends on its request alone; slower.")
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
    options: dict[str, Any] = {**locals()}
    import viubench
    from viubench.cli.progress import stages
    from viubench.cli.tables import dry_run_text, results_table

    call = viubench.dry_run if options.pop("dry_run") else viubench.evaluate
    options["resume"] = not options.pop("fresh")
    options["engine_args"] = pairs(options.pop("engine_arg"))
    with stages(quiet=options.pop("quiet")) as progress:
        done = call(**options, progress=progress, argv=["viubench", *sys.argv[1:]])
    if isinstance(done, viubench.Run):
        print(results_table(done.results))
        raise typer.Exit(Exit.OK if done.valid else Exit.INVALID_RUN)
    print(dry_run_text(done))


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
    options: dict[str, Any] = {**locals()}
    import viubench
    from viubench.cli.progress import stages
    from viubench.cli.tables import results_table

    options["resume"] = not options.pop("fresh")
    with stages(quiet=options.pop("quiet")) as progress:
        done = viubench.score(**options, progress=progress, argv=["viubench", *sys.argv[1:]])
    print(results_table(done.results))
    raise typer.Exit(Exit.OK if done.valid else Exit.INVALID_RUN)


def pairs(arguments: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE arguments as a dictionary; ViubenchError for one that is not of that form."""
    pairs = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not (key and equals):
            raise ViubenchError(f"{argument!r} is not of the form KEY=VALUE", where="--engine-arg")
        pairs[key] = value
    return pairs
