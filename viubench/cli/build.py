"""`viubench build`, `clips` and `tiny`: pretext items from videos, drawn sample clips, a tiny checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from viubench.cli.listing import Json, print_json
from viubench.cli.run import arguments, takes


@takes("frame_cache follow_links include_path quiet")
def build(
    *,
    recipe: Annotated[str, typer.Option(help="viubench, viubench-mini, videossr-30k, or a YAML file.")],
    videos: Annotated[Path, typer.Option(help="Folder of videos, or one video; only read.")],
    out: Annotated[Path, typer.Option(help="Where items.jsonl and build.json go.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal items.")] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="Items that nobody can have seen: the seed is drawn, and kept in build.json.")
    ] = False,
    n: Annotated[int | None, typer.Option(min=1, help="Items of each task, instead of the recipe's.")] = None,
    difficulty: Annotated[
        Literal["recipe", "auto"], typer.Option(help="As the recipe says, or where the groups of --for vary most.")
    ] = "recipe",
    fitted_to: Annotated[
        Path | None, typer.Option("--for", help="With --difficulty auto: a run of viubench probe-data.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a video that items are made of, instead of the recipe's.")
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(min=1024, help="Pixels of a frame at which items are proved answerable, at most.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, by default one a core; the items do not depend on it.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Build over the machines of a Ray cluster: its address, auto or local.")
    ] = None,
    materialize: Annotated[bool, typer.Option("--materialize", help="Also write the frames as pictures.")] = False,
    **options: Any,
) -> None:
    """Build pretext items from any videos."""
    import viubench
    from viubench.cli.progress import stages
    from viubench.errors import ViubenchError

    if (difficulty == "auto") != (fitted_to is not None):
        hint = "viubench probe-data writes the run; then: build --difficulty auto --for RUN"
        raise ViubenchError("--difficulty auto and --for RUN come together", where="--for", hint=hint)
    options = arguments(options)
    with stages(quiet=options.pop("quiet")) as progress:
        report = viubench.build_items(
            recipe, videos, out, seed=seed, live=live, n=n, frames=frames, max_pixels=max_pixels, workers=workers,
            ray=ray, fitted_to=fitted_to, proposed=lambda proposal: print(proposal.text()), materialize=materialize,
            progress=progress, **options,
        )  # fmt: skip
    print(report.text())


def clips(
    out: Annotated[Path, typer.Option(help="Folder for the mp4 files.")],
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 8,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal clips.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of the first; the others vary.")] = 12,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the first; the others vary.")] = "320x180",
    fps: Annotated[float, typer.Option(min=1, max=120, help="Frames a second of the first; the others vary.")] = 25,
    dusk: Annotated[bool, typer.Option("--dusk", help="All alike, one scene each, their light failing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no paths.")] = False,
) -> None:
    """Draw short sample clips: moving scenes with texture, cuts and camera motion."""
    import re

    from viubench.errors import ViubenchError
    from viubench.video import synthetic

    sides = re.fullmatch(r"(\d{2,4})x(\d{2,4})", size)
    if sides is None:
        raise ViubenchError(f"{size!r} is no size", where="--size", hint="as in 320x180")
    even = (int(sides[1]) // 2 * 2, int(sides[2]) // 2 * 2)
    for path in synthetic.draw(out, n, seed, seconds=seconds, size=even, fps=fps, dusk=dusk):
        if not quiet:
            print(path)


def tiny(
    out: Annotated[Path | None, typer.Option(help="Checkpoint folder to write.")] = None,
    family: Annotated[
        str, typer.Option(help="Which family of models: qwen2_5_vl, internvl, ...; see --list.")
    ] = "qwen3_vl",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal weights.")] = 0,
    learner: Annotated[bool, typer.Option("--learner", help="One to be trained on the tasks of recipe tiny.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Name the families, and those that cannot be made.")] = False,
    json: Json = False,
) -> None:
    """Write a tiny checkpoint with random weights, for trying a pipeline or a family of models without a download."""
    from viubench.engines import tiny_checkpoints
    from viubench.errors import ViubenchError

    if listed and json:
        print_json({"families": tiny_checkpoints.names(), "cannot be made": tiny_checkpoints.absent()})
        return
    if listed:
        for name, published in tiny_checkpoints.names().items():
            print(f"{name:18} {published}")
        for name, reason in tiny_checkpoints.absent().items():
            print(f"{name:18} cannot be made: {reason}")
        return
    if out is None:
        raise ViubenchError("a checkpoint needs a folder", where="--out", hint="viubench tiny --out FOLDER")
    kind, texts = (tiny_checkpoints.LEARNER, _vocabulary()) if learner else (tiny_checkpoints.SPEAKER, [])
    tiny_checkpoints.write(out, seed, kind, texts, family=family)
    print(out)


def _vocabulary() -> list[str]:
    """The questions of the recipe tiny, and the text a prompt has around them."""
    from viubench.pretext.perturb import WORDS
    from viubench.tasks.registry import Catalogue

    catalogue = Catalogue()
    questions = [task.question for task in catalogue.tasks_of(catalogue.recipe("tiny")).values()]
    return [*questions, *WORDS.values(), "Clip 1: <video>", "<0.5 seconds>", "user", "assistant"]
