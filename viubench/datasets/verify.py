"""Whether a task's data is complete: the number of rows, the media they name, the checksums of the files.

Example:
    report = verify([task], Path("data/videomme"))
    [str(fault) for fault in report.tasks[0].faults]
    # ['data/x1.mp4 is missing (3 rows): in no archive that lies here']
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from viubench.datasets import archives, download, loader, local_manifest, row_files
from viubench.datasets.local_manifest import LocalManifest
from viubench.errors import MediaError, ViubenchError
from viubench.schema import Sample, Task, VideoSpec
from viubench.video import paths

_FAULTS = {"lfs_pointer": "a git-lfs pointer", "outside_root": "outside the data folder", "not_a_video": "no file"}


class Fault(NamedTuple):
    """One thing that is wrong: with a file (`path`) that `rows` rows need, or with the rows themselves (no path)."""

    what: str
    path: str = ""
    rows: int = 0
    why: str = ""

    def __str__(self) -> str:
        cost = f" ({self.rows} row{'s' * (self.rows != 1)})" if self.rows else ""
        return " ".join(filter(None, (self.path, self.what))) + cost + (f": {self.why}" if self.why else "")


@dataclass
class TaskReport:
    """One task: rows read, rows published (None when not known), media named, rows that lack one of theirs, and the
    files of subtitles that are here (None where the task has none)."""

    task: str
    rows: int = 0
    expected: int | None = None
    media: int = 0
    lacking: int = 0
    subtitles: int | None = None
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Report:
    """A data folder: its tasks, and the recorded files that are not as they were. `checked` counts those compared."""

    folder: Path
    tasks: list[TaskReport]
    faults: list[Fault]
    checked: int
    deep: bool
    added: int = 0

    @property
    def ok(self) -> bool:
        return not self.faults and not any(task.faults for task in self.tasks)


def verify(
    tasks: Sequence[Task],
    folder: Path,
    *,
    media: bool = True,
    deep: bool = False,
    write_manifest: bool = False,
    progress: download.Progress = download.silent,
) -> Report:
    """Check all that the tasks of one data folder need.

    Args:
        media: also check the videos that rows name.
        deep: compare checksums with the manifest, not sizes alone.
        write_manifest: record the checksums of row files and media that it does not know yet; a file that differs from
            its entry keeps it, and stays a fault.
    """
    manifest = local_manifest.load(folder)
    places = _Archives(tasks, folder, manifest)
    needed: set[str] = set()
    reports = [_task(task, folder, places if media else None, needed) for task in tasks]
    report = Report(folder, reports, _changed(manifest, folder, deep, progress), len(manifest.files), deep)
    if write_manifest:
        report.added = _add(needed, manifest, folder, progress)
    return report


def _task(task: Task, folder: Path, places: _Archives | None, needed: set[str]) -> TaskReport:
    """Rows of one task, and with `places` its media; what is there is added to `needed`."""
    report = TaskReport(task.task, expected=task.rows.expected if task.rows else None)
    if task.rows and not row_files.paths(task.rows, folder):
        how = f"viubench data fetch {task.task}" if task.dataset_path else str(download.by_hand(task, folder))
        report.faults.append(Fault(f"its rows are not here ({', '.join(task.rows.files)})", why=how))
        return report
    told = task.video is not None and bool(task.video.subtitles)
    try:
        built = loader.read(task, folder, told=told)
    except ViubenchError as error:
        report.faults.append(Fault(error.message, why="; ".join(filter(None, (error.where, error.hint)))))
        return report
    samples = built.samples
    report.rows = len(samples)
    if told:
        report.subtitles = len(built.subtitles)
        needed |= built.subtitles
    if report.expected not in (None, report.rows):
        report.faults.append(Fault(f"{report.rows} rows, but the published set has {report.expected}"))
    if places is not None:
        _media(report, samples, task, folder, places, needed)
    if task.rows:
        needed |= {path.relative_to(folder).as_posix() for path in row_files.paths(task.rows, folder)}
    return report


def _media(
    report: TaskReport, samples: Sequence[Sample], task: Task, folder: Path, places: _Archives, needed: set[str]
) -> None:
    """Every file that the rows name, and what each one that cannot be used costs."""
    users: dict[str, set[str]] = {}
    for sample in samples:
        for clip in sample.clips:
            for path in clip.frame_files or (clip.path,):
                users.setdefault(path, set()).add(sample.id)
    lacking: set[str] = set()
    for path, rows in sorted(users.items()):
        try:
            paths.check(paths.resolve(folder, path), path)
            needed.add(path)
        except MediaError as error:
            why = places.why_missing(path, task) if error.fault == "missing" else error.detail
            report.faults.append(Fault(f"is {_FAULTS.get(error.fault, error.fault)}", path, len(rows), why))
            lacking |= rows
    report.media = len(users)
    report.lacking = len(lacking)


@dataclass(frozen=True)
class _Archives:
    """Where a missing file would have come from. Archives are opened only when the first one is missing."""

    tasks: Sequence[Task]
    folder: Path
    manifest: LocalManifest

    @cached_property
    def _index(self) -> tuple[Mapping[str, str], list[str]]:
        """Path below the data folder (of files, and of the folders above them) -> archive; and what cannot be read."""
        index: dict[str, str] = {}
        unreadable: list[str] = []
        for into, globs in download.archive_globs(self.tasks):
            try:
                for archive in archives.find(self.folder, globs):
                    for name in archives.names(archive):
                        path = PurePosixPath(into, name)
                        index |= {str(place): archive.name for place in (path, *path.parents)}
            except ViubenchError as error:
                unreadable.append(error.message)
        return index, unreadable

    def why_missing(self, path: str, task: Task) -> str:
        """One sentence on a missing file: in which archive it is, or that none of those here has it."""
        index, unreadable = self._index
        archive = next((index[name] for name in _spellings(path, task.video) if name in index), None)
        if archive and archive in self.manifest.unpacked:
            return f"its archive {archive} was unpacked here, the file deleted since: delete the manifest, fetch again"
        if archive:
            return f"its archive {archive} is here but not unpacked: viubench data fetch unpacks it"
        if unreadable:
            return f"perhaps in an archive that cannot be read: {unreadable[0]}"
        if index:
            return "in no archive that lies here"
        nothing = "no archive lies here" if any(globs for _, globs in download.archive_globs(self.tasks)) else ""
        return ": ".join(filter(None, (nothing, f"viubench data fetch {task.task}" if task.dataset_path else "")))


def _spellings(path: str, video: VideoSpec | None) -> list[str]:
    """All the paths where the loader would accept a file that is missing at `path`."""
    if video is None:
        return [path]
    roots, endings = [root.strip("/") for root in video.roots], ("", *video.extensions)
    tails = [path.removeprefix(f"{root}/") for root in roots if root and path.startswith(f"{root}/")] or [path]
    stems = [tail.removesuffix(ending) for tail in tails for ending in endings if tail.endswith(ending)]
    return [str(PurePosixPath(root, stem + ending)) for root in roots for stem in stems for ending in endings]


def _changed(manifest: LocalManifest, folder: Path, deep: bool, progress: download.Progress) -> list[Fault]:
    """Recorded files that are missing or changed; an archive may be deleted once it was unpacked."""
    faults: list[Fault] = []
    sizes = {path: entry.size for path, entry in sorted(manifest.files.items())}
    for path in download.counted(progress if deep else download.silent, "comparing checksums", sizes):
        file = folder / archives.contained(path, str(folder / local_manifest.MANIFEST))
        entry = manifest.files[path]
        if not file.is_file():
            if not manifest.is_spent(path):
                faults.append(Fault("is gone", path, why="it is in the manifest"))
        elif (size := file.stat().st_size) != entry.size:
            faults.append(Fault("has changed", path, why=f"{size} bytes, the manifest says {entry.size}"))
        elif deep and local_manifest.measure(file).sha256 != entry.sha256:
            faults.append(Fault("has changed", path, why="its checksum is not that of the manifest"))
    return faults


def _add(needed: set[str], manifest: LocalManifest, folder: Path, progress: download.Progress) -> int:
    """Record the checksums of files that are not in the manifest; how many there were."""
    new = {path: (folder / path).stat().st_size for path in sorted(needed - manifest.files.keys())}
    for path in download.counted(progress, "computing checksums", new):
        manifest.files[path] = local_manifest.measure(folder / path)
    local_manifest.save(manifest, folder)
    return len(new)
