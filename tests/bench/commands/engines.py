"""A run as a whole: peers, pipeline, feed, order and families.

Example:
    python -m tests.bench peers --videos clips --questions 3
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import ViubenchError


def peers(
    videos: Annotated[Path, typer.Option(help="Folder of clips; both sides must be able to open those taken.")],
    model: Annotated[
        str | None, typer.Option(help="Checkpoint of the Qwen3-VL family; a tiny one is made when none is named.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips asked about.")] = 16,
    questions: Annotated[str, typer.Option(help="Questions about each clip, one contest for each number.")] = "1,3,10",
    sides: Annotated[
        str, typer.Option(help="Whom to meet: lmms-eval's vllm and vllm_generate, vLLM's bench_serve, evalscope.")
    ] = "vllm,vllm_generate,bench_serve,evalscope",
    evalscope: Annotated[str, typer.Option(help="A Python that has evalscope; this one by default.")] = sys.executable,
    frames: Annotated[int, typer.Option(min=2, help="Frames of a clip.")] = 32,
    max_pixels: Annotated[int, typer.Option(min=1024, help="Pixels of a frame, at most.")] = 90112,
    workers: Annotated[int, typer.Option(min=1, help="Our decoding processes.")] = 2,
    json: Annotated[Path | None, typer.Option(help="Write ratios and rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not print what is being measured.")] = False,
) -> None:
    """Answer the same questions about the same clips as other programs do, side by side: theirs / ours."""
    from dataclasses import asdict

    from tests.bench import contestant, evalscope_side, machine, peers, standings
    from viubench.video import cores

    met = tuple(sides.split(","))
    if unknown := [side for side in met if side not in contestant.THEIRS]:
        raise ViubenchError(f"no such side: {unknown[0]}", where="--sides", hint=f"of {', '.join(contestant.THEIRS)}")
    settings = peers.PeerSettings(
        clips, _counts(questions), frames, max_pixels, workers=workers, sides=met, evalscope=evalscope
    )
    log = _logger(quiet)
    taken, left = peers.readable(videos, settings)
    for line in left:
        log(f"left out: {line}")
    rows, out = peers.contest(taken, model, settings, log)
    printed = standings.table(rows, out, settings, cores.available())
    if any(row.side == "evalscope" for row in rows):
        printed += f"\n\nevalscope {evalscope_side.version(evalscope)}, in a Python of its own"
    print(printed)
    more = standings.ratios(rows) | {"floors": standings.floors(rows, cores.available()), "left": out}
    more["settings"] = {
        name: value for name, value in asdict(settings).items() if name != "evalscope"
    }  # a path of here
    machine.write(json, rows, printed, clips=[clip.name for clip in taken[:-1]], **more)


def pipeline(
    videos: Annotated[Path, typer.Option(help="Folder of clips.")],
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes.")] = 2,
    questions: Annotated[int, typer.Option(min=1, help="Questions about each clip at each of four sizes.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not print what is being measured.")] = False,
) -> None:
    """Run against decoding alone and an engine alone that takes time but no processor: how far do they overlap?"""
    from dataclasses import asdict

    from tests.bench import machine, pipeline

    settings = pipeline.OverlapSettings(questions=questions, workers=workers)
    rows = pipeline.measure(videos, settings, _logger(quiet))
    printed = pipeline.table(rows)
    print(printed)
    machine.write(json, rows, printed, settings=asdict(settings))


def feed(
    videos: Annotated[Path, typer.Option(help="Folder of clips.")],
    model: Annotated[
        str | None, typer.Option(help="Checkpoint that vLLM opens; a tiny Qwen3-VL is made when none is named.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips asked about, the first by name.")] = 8,
    questions: Annotated[str, typer.Option(help="Questions about each clip, two passes for each number.")] = "1,3,10",
    workers: Annotated[str, typer.Option(help="Decoding processes, one series of passes for each number.")] = "1,2",
    frames: Annotated[int, typer.Option(min=2, help="Frames of a clip.")] = 48,
    max_pixels: Annotated[int, typer.Option(min=1024, help="Pixels of a frame, at most.")] = 262144,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not print what is being measured.")] = False,
) -> None:
    """What feeds vLLM, with a core that takes no time: processor seconds of a question by stage, questions a second."""
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from tests.bench import feed, machine
    from viubench.engines import tiny_checkpoints
    from viubench.video.discover import list_videos

    settings = feed.FeedSettings(frames, max_pixels, _counts(questions), _numbers(workers, "--workers"))
    taken = [videos / name for name in list_videos(videos)[0] if "/" not in name][:clips]
    if not taken:
        raise ViubenchError("there is no video in it", where=str(videos))
    with TemporaryDirectory(prefix="viubench-bench-") as scratch:
        tiny_checkpoints.write(tiny := Path(scratch) / "tiny")
        rows = feed.measure(taken, model or str(tiny), settings, _logger(quiet))
    printed = feed.table(rows, settings)
    print(printed)
    machine.write(json, rows, printed, clips=[clip.name for clip in taken], settings=asdict(settings))


def order(
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id, opened by vLLM.")],
    tasks: Annotated[str, typer.Option("--tasks", help="Tasks or suites, comma separated, or a build folder.")],
    videos: Annotated[Path | None, typer.Option(help="Folder of videos to make pretext items from.")] = None,
    n: Annotated[int, typer.Option("--n", min=2, help="Requests, the first of the tasks.")] = 32,
    in_flight: Annotated[int, typer.Option(min=2, help="Requests under way at once, where not one.")] = 16,
    max_pixels: Annotated[int | None, typer.Option(min=1024, help="Pixels per frame, at most.")] = None,
    engine_arg: Annotated[list[str], typer.Option(help="K=V, passed to the engine; repeatable.")] = [],  # noqa: B006
    frame_cache: Annotated[Path | None, typer.Option(help="Where decoded frames are kept.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
) -> None:
    """Ask the same requests one by one, at once and in another order: what that changes, with and without
    --deterministic."""
    from tempfile import TemporaryDirectory

    from tabulate import tabulate

    from tests.bench import machine, order
    from viubench.cli.run import pairs
    from viubench.engines.checkpoints import describe_checkpoint
    from viubench.runner import planning
    from viubench.runner.config import EvalConfig
    from viubench.video.frame_cache import FrameCache, default_root

    store = FrameCache(frame_cache or default_root())
    config = EvalConfig(model, tasks, engine="vllm", videos=videos, max_pixels=max_pixels, limit=n)
    with TemporaryDirectory(prefix="viubench-bench-") as scratch:
        multiple = describe_checkpoint(model)["size_multiple"]
        planned = planning.make_plan(config, Path(scratch), multiple)
        rows = order.measure(model, order.requests(planned, store, n), pairs(engine_arg), in_flight)
    lines = [
        [row.what, "yes" if row.deterministic else "no", row.n, f"{row.seconds:.1f}", f"{100 * row.answers:.1f}",
         f"{row.logprob:.1e}"]
        for row in rows
    ]  # fmt: skip
    headers = ["asked", "deterministic", "answers", "seconds", "% changed", "log-prob, at most"]
    printed = tabulate(lines, headers, disable_numparse=True, colalign=("left", "left", *["right"] * 4))
    print(printed)
    machine.write(json, rows, printed)


def families(
    family: Annotated[list[str], typer.Option(help="One of `viubench tiny --list`; repeatable, all by default.")] = [],  # noqa: B006
    engine: Annotated[list[str], typer.Option(help="hf, vllm or server; repeatable, all by default.")] = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Rows as JSON lines; those that are there are not measured again.")] = Path(
        "families.jsonl"
    ),
    checkpoints: Annotated[Path | None, typer.Option(help="Folder of tiny checkpoints by family, kept.")] = None,
    limit: Annotated[float, typer.Option(min=1, help="Seconds that a family may take on an engine.")] = 180,
    again: Annotated[bool, typer.Option("--again", help="Measure rows that are there again.")] = False,
    document: Annotated[Path | None, typer.Option(help="Page to write the table into, between its marks.")] = None,
) -> None:
    """A small run of each family on each engine: runs, sees, times, tokens."""
    from tempfile import TemporaryDirectory

    from tests.bench import families, families_page
    from viubench.engines import tiny_checkpoints

    for given, known, where in ((family, tiny_checkpoints.names(), "--family"), (engine, families.ENGINES, "--engine")):
        if unknown := [name for name in given if name not in known]:
            raise ViubenchError(f"no such name: {unknown[0]}", where=where, hint=f"one of {', '.join(known)}")
    with TemporaryDirectory(prefix="viubench-bench-") as scratch:
        asked = (family or [*tiny_checkpoints.names()], engine or [*families.ENGINES])
        for row in families.measure(*asked, out, checkpoints or Path(scratch), limit, again):
            print(f"{row.family} on {row.engine}: {row.seconds:.0f} s {row.error}", file=sys.stderr, flush=True)
    found = families.rows(out)
    print(families_page.table(found))
    if document is not None:
        families_page.document(document, found)


def _counts(text: str) -> tuple[int, ...]:
    from tests.bench.peers import QUESTIONS

    return _numbers(text, "--questions", len(QUESTIONS))


def _numbers(text: str, where: str, most: int = 256) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or not all(1 <= count <= most for count in counts):
        raise ViubenchError(f"{text!r} is no list of numbers from 1 to {most}", where=where)
    return counts


def _logger(quiet: bool) -> Callable[[str], None]:
    """Prints on standard error what is being measured, or nothing."""
    return lambda what: None if quiet else print(what, file=sys.stderr, flush=True)
