"""`viubench frontier`: where a model breaks on axes of difficulty, and several such searches on one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli import files
from viubench.cli.run import arguments, pairs, takes
from viubench.errors import Exit, ViubenchError

PAGE = "frontier.html"


@takes(
    "model base_model engine replicas base_url protocol frames max_pixels max_tokens temperature top_p top_k samples "
    "system thinking set name seed fresh frame_cache frame_cache_gb frame_cache_compress follow_links workers "
    "engine_arg deterministic include_path max_errors filmstrips quiet debug"
)
def frontier(
    *,
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of finished searches, to be shown on one page; then no model is run.")
    ] = [],  # noqa: B006
    videos: Annotated[Path | None, typer.Option(help="Folder of videos that the items are made from.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder of the search; one that is there is resumed.")] = None,
    axes: Annotated[
        str | None,
        typer.Option(help="jigsaw.clips, counting.instances, counting.frames, grounding.length[:PERTURBATION], "
                     "grounding.strength[:PERTURBATION]; commas between, all by default."),
    ] = None,
    levels: Annotated[
        list[str], typer.Option(help="AXIS=V,V,..., other values of it, from the easiest to the hardest; repeatable.")
    ] = [],  # noqa: B006
    recipe: Annotated[str, typer.Option(help="Whose first task of each kind the items are made with.")] = "viubench",
    questions: Annotated[int, typer.Option(min=1, help="Questions of an axis, at most.")] = 120,
    width: Annotated[float, typer.Option(min=0.1, help="An axis is done once its interval has so few levels.")] = 1.5,
    batch: Annotated[int, typer.Option(min=1, help="Questions of an axis in a round.")] = 4,
    html: Annotated[Path | None, typer.Option(help="The page; by default frontier.html, in --out where given.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write what is shown there as JSON.")] = None,
    **options: Any,
) -> None:  # fmt: skip
    """Find the difficulty at which a model stands half way between guessing and all right, on each of several axes."""
    import viubench
    from viubench.cli.progress import stages, warn

    options = arguments(options)
    quiet = options.pop("quiet")
    files.check({"--html": html, "--json": json})
    if runs:
        if videos is not None or out is not None or options["model"] is not None:
            hint = "leave out the folders to run a model, or the model to show them"
            raise ViubenchError("folders of finished searches were named, and a model to run", hint=hint)
        _show(runs, html or Path(PAGE), json)
        return
    for name, given in (("--videos", videos), ("--out", out)):
        if given is None:
            raise ViubenchError(f"a search needs {name}", where=name, hint="or name folders of finished searches")
    assert videos
    assert out
    with stages(quiet=quiet) as progress:
        report = viubench.find_frontier(
            **options, videos=videos, out=out, axes=axes, levels=_levels(levels), recipe=recipe, questions=questions,
            width=width, batch=batch, progress=progress, argv=["viubench", *sys.argv[1:]],
        )  # fmt: skip
    _show([out], html or out / PAGE, json)
    if report.invalid:
        warn(f"the search is invalid: {report.invalid}")
    raise typer.Exit(Exit.INVALID_RUN if report.invalid else Exit.OK)


def _levels(given: list[str]) -> dict[str, tuple[float, ...]]:
    """AXIS=V,V,... by axis; ViubenchError for one of another form."""
    found: dict[str, tuple[float, ...]] = {}
    for axis, texts in pairs(given, "--levels").items():
        try:
            found[axis] = tuple(float(text) for text in texts.split(","))
        except ValueError:
            hint = "numbers with commas between, as in jigsaw.clips=2,3,4"
            raise ViubenchError(f"{axis}={texts:.80} are no numbers", where="--levels", hint=hint) from None
    return found


def _show(folders: list[Path], html: Path, json: Path | None) -> None:
    """Print the thresholds of finished searches, and write the page and the data."""
    from reports.html.escape import clean, one_line
    from reports.pages import frontier_page
    from viubench.api.frontier import load_frontiers

    reports = load_frontiers(folders)
    print(clean(frontier_page.text(reports)))
    if json is not None:
        data = "[\n" + ",\n".join(report.model_dump_json(by_alias=True, indent=1) for report in reports) + "\n]\n"
        files.write(json, data, "--json", parents=True)
    files.write(html, frontier_page.render(reports), "--html", parents=True)
    print(one_line(str(html.resolve())))
