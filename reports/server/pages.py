"""The pages of the viewer as text: the list of runs, their samples, one run, a comparison, a training, a watch.

Example:
    html = home(workspace, workspace.runs(), progress.of(workspace.runs()))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.data.runs import command
from reports.html import page
from reports.html.escape import shorten
from reports.html.page import Finding
from reports.html.format import with_interval
from reports.pages import comparison_page, watch_page
from reports.server.folders import Place
from reports.server.workspace import OpenRun, Workspace, names_of
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
    tasks = [
        {
            "name": name,
            "n": entry.n,
            "result": results.tasks.get(name),
            "score": with_interval(results.tasks[name].value, *results.tasks[name].ci) if name in results.tasks else "–",
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
    """The comparison of two runs, as `viubench compare --html` writes it; raises ViubenchError where they are not
    comparable."""
    sides = Side.read(a.place.path), Side.read(b.place.path)
    found = compare_runs(*sides, level=LEVEL, common=True)
    turned = all_flips(found.tasks.values())
    links = [("/", "All runs"), (f"/samples?run={a.key}&run={b.key}#differ=best", "All samples")]
    return comparison_page.render(
        sides, found, full_report(*sides, found, turned), turned, per_task=MOST_FLIPS, links=links
    )


def message(text: str) -> str:
    """A page that says one thing."""
    return _render("message.html.j2", [], {}, {"text": text}, "message")


def _render(template: str, scripts: Sequence[str], data: Any, context: Mapping[str, Any], here: str) -> str:
    every = ["chrome.js", "viewer.js", *scripts]
    return page.render(template, every, data, {**context, "here": here}, styles=STYLES, served=True)
