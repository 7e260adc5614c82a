"""The pages of the viewer as text: the list of runs, their samples, one run, a comparison, a training, a watch.

Example:
    html = home(workspace, workspace.runs(), progress.of(workspace.runs()))
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reports.data import answer_log, training_log
from reports.data.answer_log import AnswerSample
from reports.data.runs import command
from reports.html import page
from reports.html.escape import shorten
from reports.html.format import with_interval
from reports.pages import comparison_page, watch_page
from reports.sections import training_answers, training_curves
from reports.server.folders import Place
from reports.server.workspace import MOST_TOGETHER, OpenRun, Workspace, names_of
from viubench.comparison.pair import Side, compare_runs
from viubench.comparison.report import LEVEL
from viubench.comparison.report import flips as all_flips
from viubench.comparison.report import report as full_report
from viubench.errors import ViubenchError
from viubench.schema import STATUSES
from viubench.watch import history

STYLES = ("samples.css", "viewer.css")
STATUS_WORDS = {status: status.replace("_", " ") for status in STATUSES}

MOST_FLIPS = 12
"""Samples that turned which a comparison shows, of each task and direction; the browser has all."""

STEP = re.compile(r"(?:checkpoint|step|global_step)[-_]0*([0-9]{1,9})")
"""Where the name of a checkpoint or of its run says its step."""

Row = Mapping[str, Any]


def home(workspace: Workspace, runs: Sequence[OpenRun], rows: Sequence[Row]) -> str:
    """Every run with how far it is, the trainings and the watches."""
    found = workspace.found()
    context = {
        "rows": [{"run": run, **row} for run, row in zip(runs, rows, strict=True)],
        "status_words": STATUS_WORDS,
        "unreadable": [f"{label}: {why}" for label, why in workspace.unreadable.items()],
        "trainings": found.trainings,
        "watches": found.watches,
        "cut": found.cut,
    }
    return _render("runs.html.j2", ["runs.js"], {"known": len(found.runs)}, context, "runs")


def samples(runs: Sequence[OpenRun]) -> str:
    """The browser over these runs; its script asks for the samples."""
    names = names_of(runs)
    data: dict[str, Any] = {
        "models": names,
        "best": [],
        "tasks": sorted({task for run in runs for task in run.data.manifest.tasks}),
        "samples": [],
        "rules": {},
        "strips": [],
        "stripsLeftOut": 0,
        "runs": [run.key for run in runs],
        "going": not all(run.finished for run in runs),
    }
    context = {"statuses": STATUSES, "status_words": STATUS_WORDS, "names": names, "runs": runs}
    return _render("browse.html.j2", ["player.js", "answers.js", "browser.js", "browse.js"], data, context, "samples")


def run(opened: OpenRun, row: Row) -> str:
    """What was run, how far it is, and its scores."""
    manifest, results = opened.data.manifest, opened.data.results
    scores = {name: with_interval(result.value, *result.ci) for name, result in results.tasks.items()}
    tasks = [
        {
            "name": name,
            "n": entry.n,
            "result": results.tasks.get(name),
            "score": scores.get(name, "–"),
            "protocol": manifest.protocols[name].protocol if name in manifest.protocols else "",
        }
        for name, entry in sorted(manifest.tasks.items())
    ]
    facts = [
        *((f"model {key}", value) for key, value in sorted(manifest.model.items())),
        *((f"engine {key}", value) for key, value in sorted(manifest.engine.items())),
        ("seed", manifest.seed),
        ("started", manifest.started),
        *((f"hardware {key}", value) for key, value in sorted(manifest.hardware.items())),
        ("packages", ", ".join(f"{name} {version}" for name, version in sorted(manifest.packages.items()))),
    ]
    context = {
        "run": opened,
        "row": row,
        "tasks": tasks,
        "statuses": [status for status in STATUSES if row["statuses"].get(status)],
        "status_words": STATUS_WORDS,
        "command": shorten(command(manifest), 4000),
        "facts": [(name, shorten(str(value), 600)) for name, value in facts if value not in ("", None)],
    }
    return _render("run.html.j2", ["runs.js"], {"known": None}, context, "run")


def compare(a: OpenRun, b: OpenRun) -> str:
    """The comparison of two runs, as `viubench compare --html` writes it, or why they cannot be compared."""
    links = [("/", "All runs"), (f"/samples?run={a.key}&run={b.key}#differ=best", "All samples")]
    try:
        sides = Side.read(a.place.path), Side.read(b.place.path)
        found = compare_runs(*sides, level=LEVEL, common=True)
    except ViubenchError as error:
        return message(f"The two runs cannot be compared: {error.message}.", links[1:])
    turned = all_flips(found.tasks.values())
    return comparison_page.render(
        sides, found, full_report(*sides, found, turned), turned, per_task=MOST_FLIPS, pages=links
    )


def watch(workspace: Workspace, place: Place) -> str:
    """The page of a watch; from its checkpoints links lead to their runs and samples."""
    entries = sorted({entry.name: entry for entry in history.read(place.path)}.values(), key=lambda one: one.step)
    opened = {opened.place.path: opened for opened in workspace.runs()}
    training = next((one for one in workspace.found().trainings if one.path == place.path.parent), None)
    known = [opened[path] for entry in entries if entry.run and (path := (place.path / entry.run).resolve()) in opened]
    links = {
        entry.name: [(f"/samples?run={own.key}", "samples"), (f"/run/{own.key}", "run"), *_logged(training, entry.step)]
        for entry in entries
        if (own := opened.get((place.path / (entry.run or ".")).resolve())) is not None
    }
    pages = [("/", "Runs"), (f"/samples?{'&'.join(f'run={run.key}' for run in known[-MOST_TOGETHER:])}", "Samples")]
    pages += [(f"/training/{training.key}", "Training")] if training else []
    title = training.label if training else place.label
    return watch_page.render(
        title, entries, (), training.path if training else None, links=links, pages=pages, answers=False
    )


def training(workspace: Workspace, place: Place, step: int | None) -> str:
    """The curves of a training, the checkpoints that were evaluated with their runs, samples and answers, and the
    answers that were logged last up to `step`, by default of all."""
    loaded = training_log.load(place.path, place.label)
    last = max(loaded.stages[-1].steps, default=-1)
    known = answer_log.steps(place.path, last)
    shown = answer_log.nearest(place.path, last if step is None else min(step, last))
    at = shown.steps[0].number if shown.steps else None
    context = {
        "place": place,
        "trainings": [training_curves.draw(replace(loaded, answers=AnswerSample()))],
        "checkpoints": [{**row, "answers": _logged(place, row["step"])} for row in _evaluated(workspace, place)],
        "watches": [one for one in workspace.found().watches if one.path.is_relative_to(place.path)],
        "answers": training_answers.draw(shown, {}) | {"left_out": shown.left_out},
        "known": len(known),
        "before": max((one for one in known if at is not None and one < at), default=None),
        "after": min((one for one in known if at is not None and one > at), default=None),
    }
    return _render("training_page.html.j2", [], {}, context, "training")


def _evaluated(workspace: Workspace, place: Place) -> list[dict[str, Any]]:
    """The runs below a training's folder that say of which step they are, in the name of their model or their own."""
    found = []
    for opened in workspace.runs():
        if opened.place.path.is_relative_to(place.path) and (number := STEP.search(f"{opened.model} {opened.label}")):
            found.append({"step": int(number[1]), "run": opened})
    return sorted(found, key=lambda row: row["step"])


def _logged(training: Place | None, step: int) -> list[tuple[str, str]]:
    """The link to what a training answered when it had made so many steps."""
    if training is None or not answer_log.steps(training.path, step):
        return []
    return [(f"/training/{training.key}?step={step}#answers", "answers")]


def message(text: str, links: Sequence[tuple[str, str]] = ()) -> str:
    """A page that says one thing, and what leads on from it."""
    return _render("message.html.j2", [], {}, {"text": text, "links": links}, "message")


def _render(template: str, scripts: Sequence[str], data: Any, context: Mapping[str, Any], here: str) -> str:
    return page.render(template, ["viewer.js", *scripts], data, {**context, "here": here}, styles=STYLES, served=True)
