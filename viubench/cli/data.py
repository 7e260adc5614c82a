"""`viubench data`: fetch benchmark data from the hub, unpack it, and prove that it is whole.

Example:
    viubench data fetch videomme,lvbench --data-root /data && viubench data verify videomme --deep
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from viubench.cli.examples import shown
from viubench.cli.progress import bar, print_error
from viubench.cli.run import takes
from viubench.errors import Exit, ViubenchError

if TYPE_CHECKING:
    from viubench.datasets.download import Progress
    from viubench.datasets.verify import Fault, Report
    from viubench.schema import Task

app = typer.Typer(no_args_is_help=True, help="Fetch benchmark data, and prove that it is whole.")
Tasks = Annotated[str, typer.Argument(help="Tasks or suites, separated by commas.")]
Root = Annotated[Path | None, typer.Option("--data-root", help="Folder of all data; $VIUBENCH_DATA by default.")]
Every = Annotated[bool, typer.Option("--all", help="Name every file at fault, not only the first 20.")]

SHOWN = 20


@app.command(epilog=shown("data fetch"))
@takes("include_path quiet")
def fetch(
    tasks: Tasks,
    data_root: Root = None,
    rows_only: Annotated[bool, typer.Option("--rows-only", help="The rows without the videos.")] = False,
    every: Every = False,
    **options: Any,
) -> None:
    """Download the tasks' rows and videos, unpack the archives, verify. Can be stopped and repeated."""
    from viubench.datasets import verify as checks

    outcome = Exit.OK
    for folder, group in _folders(tasks, data_root, options["include_path"], fetching=True).items():
        try:
            _get(group, folder, rows_only, _bars(options["quiet"]))
        except ViubenchError as error:  # the other data sets do not depend on it
            outcome = Exit.USAGE
            print_error(error)
            continue
        report = checks.verify(group, folder, media=not rows_only, progress=_bars(options["quiet"]))
        _show(report, every)
        outcome = outcome or (Exit.OK if report.ok else Exit.NEGATIVE)
    raise typer.Exit(outcome)


@app.command(epilog=shown("data verify"))
@takes("follow_links include_path quiet")
def verify(
    tasks: Tasks,
    data_root: Root = None,
    deep: Annotated[bool, typer.Option("--deep", help="Compare checksums, not sizes alone.")] = False,
    write_manifest: Annotated[
        bool, typer.Option("--write-manifest", help="Record the checksums of new files.")
    ] = False,
    every: Every = False,
    **options: Any,
) -> None:
    """Rows against the published number, media against the rows, files against the manifest; 1 when one is wrong."""
    from viubench.datasets import verify as checks

    whole = True
    for folder, group in _folders(tasks, data_root, options["include_path"], fetching=False).items():
        report = checks.verify(
            group, folder, deep=deep, write_manifest=write_manifest, progress=_bars(options["quiet"])
        )
        _show(report, every)
        whole = whole and report.ok
    raise typer.Exit(Exit.OK if whole else Exit.NEGATIVE)


def _folders(
    names: str, data_root: Path | None, include_path: Sequence[Path], *, fetching: bool
) -> dict[Path, list[Task]]:
    """Tasks of a list of names by the folder that their data lies in, or is to be fetched into."""
    from viubench.datasets import download, row_files
    from viubench.tasks.registry import Catalogue

    root = data_root or download.default_data_root()
    folders: dict[Path, list[Task]] = {}
    for task in Catalogue(tuple(include_path)).resolve(names).tasks:
        if task.rows is None:
            raise ViubenchError(
                f"{task.task} has no data to fetch: it is built from any videos",
                hint="viubench build --recipe viubench --videos DIR --out DIR",
            )
        folder = download.folder_of(task, root)
        if not (fetching and task.dataset_path):
            with suppress(ViubenchError):  # no rows are there yet: the report says so of that folder
                folder = row_files.data_folder(task, root)  # also the data root itself
        folders.setdefault(folder, []).append(task)
    return folders


def _get(tasks: Sequence[Task], folder: Path, rows_only: bool, progress: Progress) -> None:
    """What tasks of one folder need, each hub id once; archives put there by hand are unpacked too."""
    from viubench.datasets import download

    sources: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        sources.setdefault((task.dataset_path, task.revision), []).append(task)
    for (dataset, _), group in sources.items():
        if not dataset:
            print_error(download.by_hand(group[0], folder))
            if not rows_only:
                download.unpack(group, folder, progress)
            continue
        got = download.fetch(group, folder, "rows" if rows_only else "all", progress)
        asked = f" (asked for {got.resolved.asked})" if got.resolved.repo != got.resolved.asked else ""
        before = f" (before: {got.before[:12]})" if got.before not in ("", got.resolved.revision) else ""
        print(f"{got.resolved.repo}{asked}, commit {got.resolved.revision[:12]}{before}")
        print(f"  {got.files} files needed, {got.written} downloaded now ({got.bytes / 1e6:.1f} MB) into {folder}")


def _show(report: Report, every: bool) -> None:
    """Print a report, a paragraph for each task and one for the manifest."""
    for task in report.tasks:
        published = f" ({task.expected} published)" if task.expected else ""
        media = f", {task.media} videos or frames named" if task.media else ""
        told = f", {task.subtitles} files of subtitles" if task.subtitles is not None else ""
        print(f"{task.task}: {task.rows} rows{published}{media}{told}")
        _list(task.faults, every)
        if task.lacking:
            print(f"  {task.lacking} of {task.rows} rows lack a video")
    if report.checked:
        how = "checksums" if report.deep else "sizes"
        print(f"manifest of {report.folder}: {report.checked} files, {how} compared, {len(report.faults)} differ")
        _list(report.faults, every)
    if report.added:
        print(f"  {report.added} files recorded")


def _list(faults: Sequence[Fault], every: bool) -> None:
    from reports.html.escape import clean

    shown = list(faults) if every else list(faults)[:SHOWN]
    for fault in shown:
        print(f"  {clean(str(fault))}")
    if len(faults) > len(shown):
        print(f"  ... and {len(faults) - len(shown)} more: --all names them")


def _bars(quiet: bool) -> Progress:
    """Progress bars that count in MB."""

    @contextmanager
    def begin(what: str) -> Iterator[Callable[[int, int], None]]:
        with bar(f"{what}, MB", quiet=quiet) as update:
            yield lambda done, total: update(-(-done // 10**6), -(-total // 10**6))

    return begin
