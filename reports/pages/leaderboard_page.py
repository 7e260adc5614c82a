"""The leaderboard: one self-contained HTML file, or its main table, for the terminal or as a file of its own.

Example:
    write([Path("runs/tiny"), Path("runs/blind")], Path("leaderboard.html"), Catalogue().references)
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reports.data import finished_runs
from reports.data.runs import RunData, command
from reports.data.training_log import TrainingRun, load_all
from reports.html import page
from reports.html.escape import clean
from reports.html.format import counted, percent, points, with_interval
from reports.sections import difficulty, probes, training_curves
from reports.sections.failures import failures
from reports.sections.judges import judged
from reports.sections.overview import MOST_LINES, best_places, disagreement, overview
from reports.sections.per_sample import per_sample
from reports.sections.reading import reading
from reports.sections.samples import browser
from reports.sections.speed import speeds
from reports.sections.task_panels import panels, verdict
from reports.tables import table_files
from reports.tables.agreement import agreements
from reports.tables.leaderboard import Column, LeaderboardRow, columns, evidence, labels, rows, shown
from reports.tables.ranking import Pairing
from reports.tables.terminal import table
from viubench.errors import ViubenchError
from viubench.schema import STATUSES, Manifest, ReferenceRow, Status, TaskEntry
from viubench.schema.gate import MARGIN
from viubench.schema.probes import ProbeReport
from viubench.storage import atomic

log = logging.getLogger("viubench")

SCRIPTS = ("table.js", "player.js", "answers.js", "browser.js", "download.js", "page.js")
STYLES = ("overview.css", "samples.css")

HEADINGS = {
    "model": "Models",
    "constrained": "Models, constrained answers: not compared with the others",
    "likelihood": "Models, likeliest option: not compared with the others",
}
"""What stands above the rows of a kind; above those of every other, "Baselines"."""

LATER = ("unjudged", "judge_error")
"""Statuses that are shown where there are any."""

STATUS_WORDS = {status: status.replace("_", " ") for status in STATUSES}


def text(runs: Sequence[RunData], pairing: Pairing | None = None) -> str:
    """The main table for a terminal, in percent, the first column with its 95 % interval.

    Where there is a suite its tasks are left to the page, so that the table is not wider than a terminal.
    """
    heads = [head for head in columns(runs) if head.kind in ("suite", "group")] or columns(runs)
    lines = []
    for row in rows(runs, (), pairing):
        engine = f" (engine: {row.note})" if row.kind == "model" else ""
        cells = [row.cells.get(head.key) for head in heads]
        scores = [percent(cell.value if cell else None) for cell in cells]
        if (first := cells[0]) and first.low is not None and first.high is not None:
            scores[0] = with_interval(first.value, first.low, first.high)
        samples = "–" if row.n is None else str(row.n)
        lines.append([clean(row.label + engine), *scores, points(row.gain), samples, percent(row.not_ok)])
    names = [clean(head.label).replace(" ", "\n") for head in heads]
    headers = ["model", *names, "gain\nover\nblind", "samples", "not\nok"]
    shown = table(lines, headers)
    return "\n".join([shown, *(clean(line.text) for line in agreements(runs, labels(runs), pairing))])


def write(
    runs: Sequence[Path],
    out: Path | Mapping[table_files.Format, Path],
    references: Sequence[ReferenceRow],
    *,
    samples_per_task: int = 12,
    trainings: Sequence[Path] = (),
) -> str:
    """Write the page of `runs` to `out`, and return its main table for the terminal, as `text` does.

    `out` may also name a file for each of several formats (`reports.tables.table_files`): those hold the main table.
    Equal runs give equal bytes (but of an xlsx), and a file appears whole or not at all.

    The page needs no network and no server, allows itself no outside source (content security policy), and its tables
    are readable without JavaScript. `samples_per_task` bounds the sample browser (`reports.sections.samples.browser`).
    `trainings` are training folders, which get a section of curves.

    Folders that hold no such run are left out; the page and the log say why.

    Raises:
        ViubenchError: no finished run, or a training's log is missing or damaged.
    """
    if not runs:
        raise ViubenchError("no run to report", hint="viubench report RUN... --out leaderboard.html")
    files: Mapping[table_files.Format, Path] = {"html": out} if isinstance(out, Path) else out
    with _uncollected():
        found = finished_runs.read(runs)
        for path, why in found.left_out.items():
            log.warning("left out: %s: %s", path, why)
        shown_runs, probed = probes.parted(found.runs)
        pairing = Pairing(shown_runs)
        made: dict[table_files.Format, bytes] = {}
        for name in files:
            if name != "html":
                heads = shown(columns(shown_runs))
                made[name] = table_files.content(name, rows(shown_runs, references, pairing), heads)
                continue
            page = render(
                shown_runs,
                references,
                pairing,
                samples_per_task=samples_per_task,
                trainings=load_all(trainings),
                left_out=found.left_out,
                probed=probed,
            )
            made[name] = page.encode()
    for name, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, made[name])
    return "\n".join([text(shown_runs, pairing), *map(clean, probes.lines(probed))])


def render(
    runs: Sequence[RunData],
    references: Sequence[ReferenceRow],
    pairing: Pairing | None = None,
    *,
    samples_per_task: int = 12,
    trainings: Sequence[TrainingRun] = (),
    left_out: Mapping[Path, str] = MappingProxyType({}),
    probed: Sequence[ProbeReport] = (),
) -> str:
    """The page as text; `left_out` are the folders it does not show, each with the reason, `probed` what the probes of
    the runs show."""
    heads, names, pairing = columns(runs), labels(runs), pairing or Pairing(runs)
    found = rows(runs, references, pairing)
    took, best = speeds(runs, names), best_places(names, found, heads)
    data = browser(runs, names, samples_per_task, best) | {"perSample": per_sample(runs)}
    context = {
        "lead": lead(found, heads),
        "overview": overview(runs, names, heads, found, pairing, took),
        "most_lines": MOST_LINES,
        "contest": disagreement(data),
        "findings": verdict(runs, found, heads, pairing),
        "names": names,
        "evidence": evidence(runs, shown(heads), pairing),
        "margin": MARGIN,
        "heads": shown(heads),
        "bodies": _bodies(found),
        "has_published": any(row.kind == "published" for row in found),
        "published_badges": {badge for row in found if row.kind == "published" for badge in row.badges},
        "panels": panels(runs, names, heads),
        "difficulty": {head.key: difficulty.figures(runs, names, head.key) for head in heads if head.kind == "task"},
        "statuses": [status for status in STATUSES if status not in LATER or _has(runs, status)],
        "status_words": STATUS_WORDS,
        "agreements": agreements(runs, names, pairing),
        "failures": failures(runs, names, heads),
        "reading": reading(runs, names, heads, pairing),
        "judged": judged(runs, names),
        "speeds": took,
        "manifests": [_manifest(run, name) for run, name in zip(runs, names, strict=True)],
        "samples_per_task": samples_per_task,
        "probes": probed,
        "left_out": [f"{path.name}: {why}" for path, why in left_out.items()],
        "trainings": [training_curves.draw(training) for training in trainings],
    }
    return page.render("page.html.j2", SCRIPTS, data, context, styles=STYLES)


def lead(found: Sequence[LeaderboardRow], heads: Sequence[Column]) -> str:
    """What the page is about, in a line: "2 models and 2 baselines on 9 tasks, 216 samples each"."""
    models = [row for row in found if row.kind == "model"]
    others = sum(row.n is not None for row in found) - len(models)
    sizes = sorted({row.n for row in models if row.n is not None})
    each = f", {sizes[0]:,}{f' to {sizes[-1]:,}' if sizes[1:] else ''} samples each" if sizes else ""
    runs = " and ".join(counted(n, what) for n, what in ((len(models), "model"), (others, "baseline")) if n)
    return f"{runs or 'No run'} on {counted(sum(head.kind == 'task' for head in heads), 'task')}{each}"


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would scan half a million records again and again for reference cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _has(runs: Sequence[RunData], status: Status) -> bool:
    """Whether an answer of these runs has the status."""
    return any(task.statuses.get(status) for run in runs for task in run.results.tasks.values())


def _bodies(found: Sequence[LeaderboardRow]) -> list[tuple[str, list[LeaderboardRow]]]:
    """The rows under their headings; each part is sorted by itself, so that the baselines stay in sight."""
    parts: dict[str, list[LeaderboardRow]] = {}
    for row in found:
        heading = HEADINGS.get(row.kind, "Baselines") if row.kind != "published" else f"Published: {row.note}"
        parts.setdefault(heading, []).append(row)
    return list(parts.items())


def _imported_from(manifest: Manifest) -> list[str]:
    """A line for each file of another harness, and one for what was left out."""
    if manifest.imported is None:
        return []
    files, found = manifest.imported.files, manifest.imported.matching
    lines = [
        f"{one.name} ({one.harness} {one.version}, SHA-256 {one.sha256[:16]}, {one.answers} answers)" for one in files
    ]
    ways = ", ".join(f"{count} by {key}" for key, count in found.matched.items())
    return [*lines, f"matched {ways}; unmatched {sum(found.unmatched.values())}, missing {found.missing}"]


def _manifest(run: RunData, label: str) -> dict[str, Any]:
    """What was run, as (name, value) pairs for reading, and the command to run it again."""
    manifest = run.manifest
    facts = [
        *((f"model {key}", value) for key, value in sorted(manifest.model.items())),
        *((f"engine {key}", value) for key, value in sorted(manifest.engine.items())),
        *(("imported from", line) for line in _imported_from(manifest)),
        ("seed", manifest.seed),
        ("started", manifest.started),
        *((f"hardware {key}", value) for key, value in sorted(manifest.hardware.items())),
        ("packages", ", ".join(f"{name} {version}" for name, version in sorted(manifest.packages.items()))),
    ]
    tasks = [
        (name, task.protocol, task.protocol_hash, manifest.tasks.get(name, TaskEntry()).hash, task.items_hash, task.n)
        for name, task in sorted(run.results.tasks.items())
    ]
    return {
        "label": label,
        "folder": run.path.name,
        "command": command(manifest),
        "facts": [(name, str(value)) for name, value in facts if value not in ("", None)],
        "tasks": tasks,
    }
