"""Data sets from the Hugging Face hub, in the publisher's own layout, whole or not at all, file by file.

Example:
    fetch([task], Path("data/videomme"), "rows").written
    # 1

HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from platformdirs import user_cache_path

from viubench.datasets import archives, hub_client, local_manifest, row_files
from viubench.datasets.archives import Update
from viubench.datasets.hub_client import Remote, Resolved, resolve
from viubench.datasets.local_manifest import LocalManifest, Origin, UnpackedArchive
from viubench.errors import ViubenchError
from viubench.schema import Task
from viubench.storage import environment
from viubench.video.discover import PICTURE_SUFFIXES, VIDEO_SUFFIXES

What = Literal["rows", "all"]
Progress = Callable[[str], AbstractContextManager[Update]]
"""Opens a progress display for a job of this name; it yields what takes the bytes done and in all."""


class Fetched(NamedTuple):
    """A finished fetch: files needed, those downloaded now, their bytes; `before` is the commit of the last one."""

    resolved: Resolved
    files: int
    written: int
    bytes: int
    before: str = ""


@contextmanager
def silent(what: str) -> Iterator[Update]:
    """Progress that is not shown."""
    yield lambda done, total: None


def counted(progress: Progress, what: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """Names one by one; the progress of this job counts the bytes of those that are done."""
    total = sum(sizes.values())
    done = 0
    with progress(what) as update:
        for name, size in sizes.items():
            yield name
            done += size
            update(done, total)


def default_data_root() -> Path:
    """$VIUBENCH_DATA, or `data` below the user's cache folder; ~/.cache/viubench/data where it is there already."""
    if given := environment.folder(environment.DATA):
        return given
    earlier = Path("~/.cache/viubench/data").expanduser()  # the default before it followed the platform
    return earlier if earlier.is_dir() else user_cache_path("viubench", appauthor=False) / "data"


def folder_of(task: Task, root: Path) -> Path:
    """The folder a task's data is fetched into; ViubenchError when the task names one outside the data root."""
    return root / archives.contained(task.data or task.task, f"{task.task}: data")


def ensure(task: Task, root: Path, progress: Progress = silent) -> Path:
    """The folder of a task's data, fetched now if it is not there or a fetch was interrupted; data put there by hand is
    left alone. Raises ViubenchError as `fetch` does; also where a task has no id on the hub."""
    folder = folder_of(task, root)
    manifest = local_manifest.load(folder)
    if task.rows and row_files.paths(task.rows, folder) and task.dataset_path not in manifest.unfinished:
        return folder
    if not task.dataset_path:
        raise by_hand(task, folder)
    fetch([task], folder, "all", progress)
    return folder


def by_hand(task: Task, folder: Path) -> ViubenchError:
    """The error for data that no hub has."""
    message = f"{task.task} is not on the hub; get it from {task.metadata.source or 'its publisher'}"
    hint = f"put its files into {folder}, then: viubench data fetch {task.task}, which unpacks and checks them"
    return ViubenchError(message, where=str(folder), hint=hint)


def fetch(tasks: Sequence[Task], folder: Path, what: What = "all", progress: Progress = silent) -> Fetched:
    """Download what tasks of one hub id, revision and fallbacks need into their data folder, and unpack the archives.

    Files get the names they have on the hub; those already there with the right checksum are kept.

    Raises:
        ViubenchError: as `resolve` and `archives.unpack`; the disk is full; the hub has no such files; a file
            of another origin is in the way.
    """
    resolved = resolve(tasks[0])
    there = hub_client.listing(tasks[0], resolved)
    needed = {path: there[path] for task in tasks for path in _needed(task, there, resolved, what)}
    with local_manifest.locked(folder):
        manifest = local_manifest.load(folder)
        earlier = manifest.origin(tasks[0])
        missing = _missing(needed, folder, manifest, progress)
        _check_room(missing, tasks, folder)
        manifest.unfinished.add(tasks[0].dataset_path)
        local_manifest.save(manifest, folder)
        size, done = sum(remote.size for remote in missing.values()), 0
        try:
            with progress("downloading") as update:
                for path, remote in missing.items():
                    shown = partial(lambda before, now: update(before + now, size), done)
                    manifest.files[path] = hub_client.download(tasks[0], resolved, path, remote, folder, shown)
                    manifest.forget_unpacked(path)
                    done += remote.size
        finally:  # complete files are not downloaded again, however this ends
            local_manifest.save(manifest, folder)
        if what == "all":
            _unpack(tasks, folder, manifest, progress)
        manifest.unfinished.discard(tasks[0].dataset_path)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        asked, answered, commit = tasks[0].dataset_path, resolved.repo, resolved.revision
        origin = Origin(asked=asked, answered=answered, revision=commit, time=now, what=what)
        manifest.fetched.update({task.task: origin for task in tasks})
        local_manifest.save(manifest, folder)
    return Fetched(resolved, len(needed), len(missing), size, earlier.revision if earlier else "")


def unpack(tasks: Sequence[Task], folder: Path, progress: Progress = silent) -> None:
    """Unpack the tasks' archives that lie in their data folder and were not unpacked before, as `archives.unpack`."""
    if folder.is_dir():
        with local_manifest.locked(folder):
            _unpack(tasks, folder, local_manifest.load(folder), progress)


def _unpack(tasks: Sequence[Task], folder: Path, manifest: LocalManifest, progress: Progress) -> None:
    for into, globs in archive_globs(tasks):
        target = folder / (archives.contained(into, "video.into") if into else "")
        for archive in archives.find(folder, globs):
            parts = tuple(part.relative_to(folder).as_posix() for part in archive.parts)
            known = manifest.unpacked.get(archive.name)
            if known and (known.parts, known.into) == (parts, into):
                continue
            with progress(f"unpacking {archive.name}") as update:
                out = archives.unpack(archive, target, update)
            manifest.unpacked[archive.name] = UnpackedArchive(parts=parts, into=into, files=out.files, bytes=out.bytes)
            local_manifest.save(manifest, folder)


def archive_globs(tasks: Iterable[Task]) -> list[tuple[str, tuple[str, ...]]]:
    """Where the tasks' archives are unpacked to, and the globs of these, each pair once."""
    videos = [task.video for task in tasks if task.video]
    globs = {(video.into, tuple(video.archives)) for video in videos}
    return sorted(globs | {("", tuple(video.subtitles_archives)) for video in videos if video.subtitles_archives})


def matching(names: Iterable[str], glob: str) -> list[str]:
    """The names that `Path.glob` would find, in the order given."""

    def matches(parts: tuple[str, ...], globs: tuple[str, ...]) -> bool:
        if not globs:
            return not parts
        if globs[0] == "**":
            return any(matches(parts[skipped:], globs[1:]) for skipped in range(len(parts)))
        return bool(parts) and fnmatchcase(parts[0], globs[0]) and matches(parts[1:], globs[1:])

    globs = PurePosixPath(glob).parts
    return [name for name in names if matches(PurePosixPath(name).parts, globs)]


def _needed(task: Task, there: Mapping[str, Remote], resolved: Resolved, what: What) -> list[str]:
    """The files of the hub that a task needs. Its globs name the layouts known: not each of them has to match."""
    row_globs = task.rows.files if task.rows else []
    chosen = sorted(row_files.choose(row_globs, partial(matching, there)))
    if not chosen:
        raise _absent("rows", row_globs, there, resolved)
    if what == "all" and task.video:
        packed = [name for glob in task.video.archives for name in matching(there, glob)]
        videos = packed or _loose_videos(task, there)
        if not videos:
            raise _absent("videos", task.video.archives or task.video.roots, there, resolved)
        chosen += videos + [name for glob in task.video.subtitles_archives for name in matching(there, glob)]
    for name in chosen:
        if PurePosixPath(name).name in (local_manifest.MANIFEST, local_manifest.LOCK):
            raise ViubenchError(f"{resolved.repo} holds a file named {name!r}", hint="such a data set is not fetched")
        archives.contained(name, f"{resolved.repo} on the hub")
    return chosen


def _absent(what: str, globs: Sequence[str], there: Mapping[str, Remote], resolved: Resolved) -> ViubenchError:
    names = ", ".join(sorted(there)[:5]) + (" ..." if len(there) > 5 else "")
    where = f"commit {resolved.revision[:12]}, which has: {names or 'nothing'}"
    rows_only = "take the rows alone with --rows-only and put the videos there by hand; or " if what == "videos" else ""
    hint = f"{rows_only}pin an older commit with revision, or mend the task's globs"
    message = f"{resolved.repo} has no {what} where the task expects them ({', '.join(globs)})"
    return ViubenchError(message, where=where, hint=hint)


def _loose_videos(task: Task, there: Mapping[str, Remote]) -> list[str]:
    """Every video below the task's folders, for a publisher who packs none."""
    assert task.video is not None
    suffixes = {*VIDEO_SUFFIXES, *task.video.extensions, *(PICTURE_SUFFIXES if task.video.frame_fps else ())}
    roots = [f"{root.strip('/')}/" if root.strip("/") else "" for root in task.video.roots]
    return [name for name in there if PurePosixPath(name).suffix.lower() in suffixes and name.startswith(tuple(roots))]


def _missing(
    needed: Mapping[str, Remote], folder: Path, manifest: LocalManifest, progress: Progress
) -> dict[str, Remote]:
    """The files to download; local files that are not in the manifest are compared with the hub's checksum."""
    missing: dict[str, Remote] = {}
    for path in counted(progress, "checking local files", {path: remote.size for path, remote in needed.items()}):
        file, remote, known = folder / path, needed[path], manifest.files.get(path)
        has_size = file.is_file() and file.stat().st_size == remote.size
        if known and known.hub == remote.id:
            if not has_size and (file.exists() or not manifest.is_spent(path)):
                missing[path] = remote
        elif has_size and (entry := hub_client.compared(file, remote)):
            manifest.files[path] = entry
        elif file.exists() and not (known and known.hub):
            message = "a file is in the way that is not the publisher's (its checksum differs)"
            raise ViubenchError(message, where=str(file), hint="move it away, then fetch again")
        else:
            missing[path] = remote
    return missing


def _check_room(missing: Mapping[str, Remote], tasks: Sequence[Task], folder: Path) -> None:
    """Room for the downloads and, as videos hardly shrink when packed, once more for the archives among them."""
    packed = {name for _, globs in archive_globs(tasks) for glob in globs for name in matching(missing, glob)}
    halves = [hub_client.half_done(folder / path, remote) for path, remote in missing.items()]
    have = sum(half.stat().st_size for half in halves if half.exists())
    needed = sum(remote.size for remote in missing.values()) + sum(missing[name].size for name in packed) - have
    archives.check_room(needed, folder, f"download {len(missing)} files" + (" and unpack them" if packed else ""))
