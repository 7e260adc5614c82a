"""`viubench sweep`: one item set at several frames, pixels, fps or prompts, and where more of them stops helping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from viubench.cli.comparison import show_across
from viubench.cli.run import arguments, takes
from viubench.errors import Exit, ViubenchError

if TYPE_CHECKING:
    from viubench.runner.dry_run import DryRun

PAGE, DATA = "sweep.html", "across.json"


@takes(
    "tasks model base_model engine replicas base_url videos data_root protocol frames fps max_pixels max_tokens "
    "temperature top_p top_k samples system thinking set limit exclude name seed fresh frame_cache frame_cache_gb "
    "frame_cache_compress follow_links reader workers engine_arg deterministic include_path columns answer_kind "
    "price_in price_out max_errors filmstrips track dry_run quiet debug"
)
def sweep(
    *,
    over: Annotated[
        list[str], typer.Option(help="SETTING=V,V,..., an option of run or a field of the protocol; repeat for a grid.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the sweep, with a run folder for each setting; resumed.")],
    margin: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="A loss that does not matter; 0.02 is two points.")
    ] = 0.02,
    **options: Any,
) -> None:
    """Ask the same items under several settings, and show where more stops helping."""
    import viubench
    from reports.html.escape import clean
    from viubench.cli.progress import stages, warn

    options = arguments(options) | {"over": _over(over), "out": out}
    quiet = options.pop("quiet")
    if options.pop("dry_run"):
        with stages(quiet=quiet) as progress:
            planned, forecasts = viubench.dry_sweep(**options, progress=progress)
        print(clean("\n".join([plan_text(forecasts), *_left_out(planned.left_out)])))
        return

    running = ""

    def started(label: str, place: int, total: int) -> None:
        nonlocal running
        running = f"{clean(label)} ({place} of {total}): "

    with stages(quiet=quiet) as progress:
        done = viubench.sweep(
            **options,
            margin=margin,
            started=started,
            progress=lambda event: progress(replace(event, stage=running + event.stage)),
        )
    if done.report is not None:
        show_across(done.report, out / PAGE, out / DATA)
    for line in _left_out(done.left_out):
        print(clean(line))
    for label, reason in done.failed.items():
        warn(f"{label} is not compared: {reason}")
    raise typer.Exit(Exit.INVALID_RUN if done.failed else Exit.OK)


def _over(given: list[str]) -> dict[str, str]:
    """SETTING=VALUES by setting; ViubenchError for one of another form, or one named twice."""
    over: dict[str, str] = {}
    for argument in given:
        name, equals, values = argument.partition("=")
        if not (name and equals):
            raise ViubenchError(
                f"{argument!r} is not of the form SETTING=V,V", where="--over", hint="as in frames=8,16"
            )
        if name in over:
            raise ViubenchError(f"{name} is varied twice", where="--over", hint=f"name all its values once: {name}=A,B")
        over[name] = values
    return over


def _left_out(tasks: Mapping[str, str]) -> list[str]:
    return [f"left out: {task} {why}" for task, why in tasks.items()]


def plan_text(forecasts: Mapping[str, DryRun]) -> str:
    """A line a setting: what it would ask, and what that costs as far as it is known."""
    from reports.tables.terminal import table

    rows = []
    for label, dry in forecasts.items():
        about = "about " if len(dry.counted) < len(dry.plan.samples) else ""
        prompts, video = (f"{about}{tokens:,}" for tokens in dry.tokens) if dry.counted else ("", "")
        row: dict[str, Any] = {
            "setting": label,
            "tasks": len(dry.plan.entries),
            "questions": f"{len(dry.plan.samples):,}",
            "answers": f"{dry.plan.answers:,}",
            "prompt tokens": prompts,
            "of them video": video,
            "missing": dry.missing.samples or "",
        }
        if (costs := dry.costs) is not None:
            row |= {"images": f"{costs.pictures:,}", "prompt tokens": f"{costs.prompt_tokens:,}"}
            row["at most"] = "" if costs.money is None else f"{costs.money:,.2f}"
        rows.append(row)
    kept = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    shown = table([[row[name] for name in kept] for row in rows], kept)
    warnings = dict.fromkeys(line for dry in forecasts.values() for line in dry.warnings)
    return "\n".join([shown, *(f"warning: {line}" for line in warnings), "nothing was run"])
