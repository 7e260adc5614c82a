"""Where the videos of a user's own questions lie: below several folders, or anywhere their rows say by a whole path.

Example:
    places = find(["pour", "/data/street.mp4"], [Path("clips")], VideoSpec(path="{{ video }}", extensions=[".mp4"]))
    places.root, places.paths
    # (PosixPath('/'), {'pour': 'home/me/clips/pour.mp4', '/data/street.mp4': 'data/street.mp4'})

A media folder must hold all videos of a task, so the root is the folder above all that were found. A path that leads
out of the folders is taken where it is that of a video file by its suffix: the user's own table names it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from viubench.schema import VideoSpec
from viubench.video.discover import VIDEO_SUFFIXES

ADDRESSES = ("http://", "https://")
_DRIVE = re.compile(r"\s*[A-Za-z]:[\\/]")
MOST_ENDINGS = 12
"""Folders of a path from another machine that are tried to be left out."""


@dataclass(frozen=True)
class Places:
    """The folder `root` below which the videos lie, the path of each name from there, and the names not found."""

    root: Path
    paths: dict[str, str]
    missing: tuple[str, ...]


def find(names: Iterable[str], folders: Sequence[Path], spec: VideoSpec) -> Places:
    """Each name as it is, below one of `spec.roots` of one of the folders, with or without one of `spec.extensions`; of
    a whole path that is not there, the longest ending that is there below the folders. An address stays as it is."""
    distinct = [name for name in dict.fromkeys(names) if not name.startswith(ADDRESSES)]
    bases = [os.path.abspath(folder) for folder in folders]
    respelled = _Respelled()
    found = {name: path for name in distinct if (path := _file(name, bases, spec) or respelled(name, bases, spec))}
    missing = tuple(name for name in distinct if name not in found)
    above = [os.path.dirname(path) for path in found.values()]
    root = bases[0]
    if any(not _is_below(path, root) for path in above):
        root = os.path.commonpath([root, *above] if missing else above)
    paths = {name: Path(os.path.relpath(path, root)).as_posix() for name, path in found.items()}
    return Places(Path(root), paths | {name: _looked_for(name, bases[0], root) for name in missing}, missing)


def _looked_for(name: str, base: str, root: str) -> str:
    """The path below the root under which a video that was not found is reported; as it is for a file that is there and
    may not be read."""
    path = os.path.normpath(os.path.join(base, name.strip()))
    if _is_below(path, root):
        return Path(os.path.relpath(path, root)).as_posix()
    return name if os.path.exists(path) else path.lstrip("/")


def _file(name: str, bases: Sequence[str], spec: VideoSpec) -> str:
    """The whole path of a video, "" where it is not there."""
    if "\0" in name:
        return ""
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://"))
    tried = dict.fromkeys((name, name.strip(), name.strip().replace("\\", "/"), os.path.expanduser(name.strip())))
    extensions = ["", *spec.extensions, *map(str.upper, spec.extensions)]
    for one in tried:
        for base in bases:
            for root in ("",) if os.path.isabs(one) else spec.roots:
                for whole in (*(one + extension for extension in extensions), *_other_case(one)):
                    path = os.path.normpath(os.path.join(base, root.strip("/"), whole))
                    if os.path.isfile(path) and (_is_below(path, base) or _is_video(path)):
                        return path
    if os.path.isabs(name) or _DRIVE.match(name):
        parts = PurePosixPath(name.strip().replace("\\", "/")).parts[1:]
        for start in range(0 if _DRIVE.match(name) else 1, min(len(parts), MOST_ENDINGS)):
            if path := _file("/".join(parts[start:]), bases, spec):
                return path
    return ""


class _Respelled:
    """A file whose name differs in case, or in how its accents are encoded: tables are written on systems that do not
    tell the two apart. Of several such files none is taken."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, list[str]]] = {}  # by folder: the names in it, by what they have in common

    def __call__(self, name: str, bases: Sequence[str], spec: VideoSpec) -> str:
        """The whole path, "" where there is none."""
        parts = [part for part in _folded(name).strip().replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts or ".." in parts or os.path.isabs(name) or _DRIVE.match(name):
            return ""
        for base in bases:
            for root in spec.roots:
                at = os.path.normpath(os.path.join(base, root.strip("/")))
                for folder in parts[:-1]:
                    at = self.one(at, (folder,))
                path = self.one(at, [parts[-1] + extension for extension in ("", *spec.extensions)])
                if os.path.isfile(path):
                    return path
        return ""

    def one(self, folder: str, folded: Iterable[str]) -> str:
        """The one thing in a folder that has the first of these names that anything has."""
        if not folder:
            return ""
        if folder not in self.there:
            self.there[folder] = {}
            with suppress(OSError):
                for name in os.listdir(folder):
                    self.there[folder].setdefault(_folded(name), []).append(name)
        found = next((self.there[folder][one] for one in folded if one in self.there[folder]), [])
        return os.path.join(folder, found[0]) if len(found) == 1 else ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _other_case(name: str) -> Iterator[str]:
    """The name with its suffix in the other case: cameras write .MP4, tables often .mp4."""
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in VIDEO_SUFFIXES:
        yield stem + suffix.swapcase()


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _is_video(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES
