"""`viubench run` and `viubench score`: `viubench.evaluate` and `viubench.score`, with bars and a table."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from viubench.errors import Exit, ViubenchError
from viubench.video.paths import FOLLOW

C = TypeVar("C", bound=Callable[..., None])

Tasks = Annotated[
    str,
    typer.Option(
        "--tasks", "--task", help="Tasks, suites, files of questions, YAML files, item folders; comma separated."
    ),
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Tokens of an answer, its reasoning included, at most.")]
Temperature = Annotated[float | None, typer.Option(min=0, help="Of the sampling; 0 is greedy.")]
TopP = Annotated[float | None, typer.Option(help="Sample from the likeliest tokens that have this share in all.")]
TopK = Annotated[int | None, typer.Option(min=0, help="Sample from so many likeliest tokens; 0 for all.")]
Samples = Annotated[int | None, typer.Option(min=1, help="Answers to each question.")]
System = Annotated[str | None, typer.Option(help="System prompt.")]
Thinking = Annotated[
    Literal["on", "off"] | None, typer.Option(help="Reasoning before the answer; by default as the model does.")
]
Probe = Annotated[
    list[str],
    typer.Option(
        metavar="NAME",
        help="What evidence is taken away: blind, single-frame, shuffled-frames, reversed, half-frames, no-times, "
        "other-video, option-shuffle or circular.",
    ),
]
Reader = Annotated[
    str, typer.Option(help="What decodes: pyav, decord, torchcodec, or the fastest whose frames are the same.")
]
Set = Annotated[
    list[str], typer.Option("--set", help="K=V, any field of the protocol, as decoding.min_p=0.1; repeatable.")
]

EngineName = Annotated[
    str | None,
    typer.Option(
        help="vllm, hf, server, ray:vllm, ray:hf, random, blind, pixels or oracle; vllm where installed, else hf."
    ),
]


def _follow(given: bool) -> bool:
    """Everything that this command starts follows links too."""
    if given:
        os.environ[FOLLOW] = "1"
    return given


FollowLinks = Annotated[
    bool,
    typer.Option("--follow-links", callback=_follow, help=f"Links may lead out of the media folder; as {FOLLOW}=1."),
]
Columns = Annotated[
    list[str],
    typer.Option(help="K=V, the column of your own questions that is the video, question, answer ...; repeatable."),
]
AnswerKind = Annotated[
    str | None,
    typer.Option(help="How their answers are written: letter, text, index0, index1, number, interval, yes_no, open."),
]
BaseModel = Annotated[
    str | None,
    typer.Option(help="Folder or hub id that the checkpoint was made from: it gives what is lacking, such as the "
                      "weights below an adapter, a tokenizer, a processor."),
]  # fmt: skip
Replicas = Annotated[
    int | None, typer.Option(min=1, help="Engine processes, a GPU each (tensor_parallel_size GPUs each).")
]
Fresh = Annotated[bool, typer.Option("--fresh/--resume", help="Start the run folder again instead of resuming it.")]
FrameCacheGb = Annotated[
    float | None, typer.Option(min=0.001, max=1e9, help="Gigabytes of frames it keeps; $VIUBENCH_CACHE_GB, or 20.")
]
FrameCacheCompress = Annotated[
    bool | None,
    typer.Option("--frame-cache-compress/--no-frame-cache-compress",
                 help="Keep frames in a third of the room; if not given, where the run's are more than it keeps."),
]  # fmt: skip
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Each answer depends on its request alone; slower.")
]
ShardName = Annotated[
    str | None, typer.Option(metavar="I/N", help="The I-th of N parts of the run; viubench merge joins them.")
]
MaxErrors = Annotated[
    float, typer.Option(min=0, max=1, help="Share of media and engine errors above which the run is invalid.")
]
Track = Annotated[
    str | None, typer.Option(help="Progress and scores to trackio, wandb (offline) or tensorboard as well.")
]
PriceIn = Annotated[float | None, typer.Option(min=0, max=1e9, help="Price of a million prompt tokens, for --dry-run.")]
PriceOut = Annotated[
    float | None, typer.Option(min=0, max=1e9, help="Price of a million generated tokens, for --dry-run.")
]


def run(
    tasks: Tasks,
    out: Annotated[Path, typer.Option(help="Run folder; one that is there is resumed.")],
    model: Annotated[str | None, typer.Option(help="Checkpoint folder, hub id, or the server's model name.")] = None,
    base_model: BaseModel = None,
    engine: EngineName = None,
    replicas: Replicas = None,
    base_url: Annotated[list[str], typer.Option(help="Server endpoint; several share the load.")] = [],  # noqa: B006
    videos: Annotated[Path | None, typer.Option(help="Folder of videos, or one, to build pretext items from.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder with ready items or benchmark data.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Protocol by name or YAML file, instead of the task's.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames per video, at most.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.01, help="Frames per second, --frames at most.")] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1024, help="Pixels per frame, at most.")] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    samples: Samples = None,
    system: System = None,
    thinking: Thinking = None,
    probe: Probe = [],  # noqa: B006
    set: Set = [],  # noqa: A002, B006
    limit: Annotated[int | None, typer.Option(min=1, help="First N samples of each task.")] = None,
    exclude: Annotated[list[str], typer.Option(help="A task to leave out; repeatable.")] = [],  # noqa: B006
    name: Annotated[str | None, typer.Option(help="Label of the run in tables, instead of the model's name.")] = None,
    shard: ShardName = None,
    seed: Annotated[int, typer.Option(help="Seed of items and of the random engine.")] = 0,
    fresh: Fresh = False,
    frame_cache: Annotated[Path | None, typer.Option(help="Folder of the frame cache.")] = None,
    frame_cache_gb: FrameCacheGb = None,
    frame_cache_compress: FrameCacheCompress = None,
    follow_links: FollowLinks = False,
    reader: Reader = "pyav",
    workers: Annotated[int | None, typer.Option(min=1, help="Decoders of a replica; one a core if not given.")] = None,
    engine_arg: Annotated[list[str], typer.Option(help="K=V, passed to the engine; repeatable.")] = [],  # noqa: B006
    deterministic: Deterministic = False,
    include_path: Annotated[list[Path], typer.Option(help="More folders with task YAML files.")] = [],  # noqa: B006
    columns: Columns = [],  # noqa: B006
    answer_kind: AnswerKind = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    max_errors: MaxErrors = 0.01,
    filmstrips: Annotated[
        int, typer.Option(min=0, help="Samples of each task whose frames are kept for the pages.")
    ] = 12,
    track: Track = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count samples, tokens and missing media; no engine.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Full tracebacks and engine logs.")] = False,
) -> None:
    """Answer tasks with a model, score the answers, write a run folder and print the table."""
    options: dict[str, Any] = {**locals()}
    _call("dry_run" if options.pop("dry_run") else "evaluate", options)


def takes(names: str, source: Callable[..., None] = run) -> Callable[[C], C]:
    """Give a command options of `source` (names with spaces between), which it gets as `**options`."""
    shared = inspect.signature(source, eval_str=True).parameters

    def decorate(command: C) -> C:
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [shared[name].replace(kind=inspect.Parameter.KEYWORD_ONLY) for name in names.split()]
        command.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return command

    return decorate


@takes("tasks out videos data_root fresh include_path columns answer_kind max_errors quiet")
def score(
    *,
    responses: Annotated[Path, typer.Option(help='Lines {"id": ..., "response": ...}.')],
    model: Annotated[str | None, typer.Option(help="Name to show; the responses file's name by default.")] = None,
    samples: Annotated[Path | None, typer.Option(help="Item rows the responses belong to (items.jsonl).")] = None,
    seed: Annotated[int, typer.Option(help="Seed the items were built with.")] = 0,
    **options: Any,
) -> None:
    """Score ready answers: no engine, no video is opened when items are given."""
    options |= {"responses": responses, "model": model, "samples": samples, "seed": seed}
    _call("score", options)


def _call(name: str, options: dict[str, Any]) -> None:
    """Call the function of that name with the options of its command, and print what it returns."""
    import viubench
    from reports.html.escape import clean
    from viubench.cli.progress import stages, warn
    from viubench.cli.tables import dry_run_text, results_table, shard_text

    options = arguments(options)
    with stages(quiet=options.pop("quiet")) as progress:
        done = getattr(viubench, name)(**options, progress=progress, argv=["viubench", *sys.argv[1:]])
    if not isinstance(done, viubench.Run):
        print(clean(dry_run_text(done)))
        return
    if done.manifest.shard is not None:
        print(clean(shard_text(done.manifest.shard, done.statuses)))
    else:
        print(clean(results_table(done.results)))
        if line := done.unanswered():
            warn(line)
    if invalid := done.invalid():
        warn(invalid)
    raise typer.Exit(Exit.OK if not invalid else Exit.INVALID_RUN)


def arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a command as the arguments of its function in Python. That of links was taken when it was read, for
    all that the command starts."""
    given = {name: value for name, value in options.items() if name not in ("engine_arg", "fresh", "follow_links")}
    given |= {name: pairs(given[name], f"--{name}") for name in ("set", "columns") if name in given}
    if "probe" in options:
        given["probe"] = one_probe(options["probe"])
    if "engine_arg" in options:
        given["engine_args"] = pairs(options["engine_arg"])
    if "fresh" in options:
        given["resume"] = not options["fresh"]
    return given


def one_probe(names: Sequence[str]) -> str | None:
    """The one probe of a run; ViubenchError for several."""
    if len(names) > 1:
        hint = f"run the questions as they are, then: viubench probe RUN --probe {' --probe '.join(names)}"
        raise ViubenchError("a run has one probe", where="--probe", hint=hint)
    return names[0] if names else None


def pairs(arguments: Sequence[str], where: str = "--engine-arg") -> dict[str, str]:
    """KEY=VALUE arguments of the option `where` as a dictionary; ViubenchError for one that is not of that form, or a
    key with two values."""
    pairs: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not (key and equals):
            raise ViubenchError(f"{argument!r} is not of the form KEY=VALUE", where=where)
        if pairs.get(key, value) != value:
            raise ViubenchError(f"{key} is set twice", where=where, hint="leave one of them out")
        pairs[key] = value
    return pairs
