"""The frames that a model saw of a sample: the filmstrip that its run kept, or else made again from the video.

Example:
    frames = ShownFrames(videos=[Path("clips")])
    jpeg = await frames.strip(run, record)

Frames that are made again come from the frame store where it has them. They are shown only if they are those that the
record tells, by the hash of their pixels: another video under the same name is none.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

from reports.data.runs import RunData
from reports.sections.strips import strip_of
from viubench.errors import MediaError, ViubenchError
from viubench.pretext.generate import sample_of
from viubench.runner import pipeline
from viubench.runner.plan import Plan
from viubench.schema import Clip, Item, Record, Sample, Sampling, Task
from viubench.storage.secrets import MASK
from viubench.video import filmstrip
from viubench.video.discover import folder_of
from viubench.video.frame_cache import FrameCache, default_root
from viubench.video.loader import FrameRequest, Media
from viubench.video.process_pool import KillablePool

HEIGHT = 432
"""Most pixels of the height of frames that are made again: twice a kept filmstrip's."""

SECONDS = 120.0
"""What the reading of one video may take."""

MOST_FILES = 200_000
"""Files of a media folder among which a video is looked for by its name."""

SAME_NAME = 3
"""Videos of one name that are tried."""


class NoFrames(Exception):
    """Why the frames of a sample cannot be shown, in a sentence."""


class ShownFrames:
    """Finds and makes frames; `videos` are folders to look in beside those that a run's command names."""

    def __init__(self, videos: Sequence[Path] = (), cache: Path | None = None) -> None:
        self._videos = [folder_of(path) for path in videos]
        self._cache = cache or default_root()
        self._pool: KillablePool | None = None
        self._media: Media | None = None
        self._turn = asyncio.Semaphore(2)

    def close(self) -> None:
        """End the process that decodes."""
        if self._pool is not None:
            self._pool.close()

    async def strip(self, run: RunData, record: Record) -> bytes:
        """The frames of a record side by side, as a JPEG; raises NoFrames."""
        if kept := await asyncio.to_thread(strip_of, run.path, record.id):
            return kept
        if record.frames is None:
            raise NoFrames("The model was shown no frames.")
        async with self._turn:
            why = ""
            for sample, requests in await asyncio.to_thread(lambda: list(self._sources(run, record))):
                try:
                    media = self._opened()
                    loaded = [await media.video(request) for request in requests]
                    videos = await asyncio.to_thread(pipeline.shown, sample, loaded) if sample else tuple(loaded)
                    info, _ = await asyncio.to_thread(pipeline.frame_info, videos)
                    if info.hash == record.frames.hash:
                        return await asyncio.to_thread(filmstrip.encoded, videos, HEIGHT)
                    why = "The video gives other frames now than the model saw."
                except (MediaError, ViubenchError, ValueError) as error:
                    why = f"{error}."
        raise NoFrames(why or "The run kept no frames of it, and its video was not found: viubench view --videos DIR.")

    def _opened(self) -> Media:
        if self._media is None:
            self._pool = KillablePool(1, SECONDS)
            self._media = Media(FrameCache(self._cache), self._pool)
        return self._media

    # --- where the frames are from ----------------------------------------------------------------------------

    def _sources(self, run: RunData, record: Record) -> Iterator[tuple[Sample | None, list[FrameRequest]]]:
        """What the frames may be made from: an item and the clips that it changes, or a video of the same name."""
        protocol = run.manifest.protocols.get(record.task)
        if protocol is None or record.frames is None:
            return
        videos = [*self._videos, *map(folder_of, _named(run, "--videos")), *_named(run, "--data-root")]
        items = [run.path / "items", *_named(run, "--tasks"), *_named(run, "--task")]
        for folder in items:
            if (found := _item(folder, record)) is not None:
                sample, built_from = found
                for root in dict.fromkeys([built_from, *videos]):
                    plan = Plan([], run.manifest.protocols, {}, {record.task: root})
                    yield sample, pipeline.frame_requests(sample, plan)
        rising = all(one < two for one, two in pairwise(record.frames.times))
        if record.frames.videos == 1 and rising:
            how = Sampling(kind="indices", indices=tuple(record.frames.indices))
            for root in dict.fromkeys(videos):
                for path in _videos_of(root, record):
                    yield None, [(root, Clip(path=path), how, protocol.resize)]


def _named(run: RunData, option: str) -> list[Path]:
    """The paths that an option of the run's command names, as they are found from here or from above the run."""
    words = run.manifest.argv
    given = [two for one, two in pairwise(words) if one == option]
    given += [word.removeprefix(f"{option}=") for word in words if word.startswith(f"{option}=")]
    found = []
    for text in (part for value in given for part in value.split(",")):
        places = [Path(), run.path.resolve(), *run.path.resolve().parents]
        if text and MASK not in text and (path := next((p / text for p in places if (p / text).exists()), None)):
            found.append(path)
    return found


def _item(folder: Path, record: Record) -> tuple[Sample, Path] | None:
    """The pretext item of a record in a folder of built items, and where its videos lay."""
    name = json.dumps(record.id, ensure_ascii=False).encode(errors="replace")
    try:
        about: dict[str, Any] = json.loads((folder / "build.json").read_bytes())
        with (folder / "items.jsonl").open("rb") as lines:
            for line in lines:
                if name in line and (item := Item.model_validate_json(line)).id == record.id:
                    task = Task.model_validate(about["tasks"][item.task])
                    return sample_of(item, task), folder_of((folder / about["videos_root"]).resolve())
    except (OSError, ValueError, LookupError, TypeError, ViubenchError):
        return None
    return None


def _videos_of(root: Path, record: Record) -> list[str]:
    """The videos below a folder that may be the one of a record: at its path, else of its name."""
    names = record.files or [record.cluster]
    if len(names) != 1 or not names[0]:
        return []
    direct = [names[0]] if not os.path.isabs(names[0]) and ".." not in PurePath(names[0]).parts else []
    known = _by_name(root).get(PurePath(names[0]).name, [])
    return list(dict.fromkeys([*(path for path in direct if (root / path).is_file()), *known]))[:SAME_NAME]


@lru_cache(maxsize=8)
def _by_name(root: Path) -> dict[str, list[str]]:
    """Name -> paths below `root` of the files that have it."""
    found: dict[str, list[str]] = {}
    count = 0
    for folder, _, names in os.walk(root):
        for name in names:
            count += 1
            found.setdefault(name, []).append((Path(folder) / name).relative_to(root).as_posix())
        if count > MOST_FILES:
            break
    return found
