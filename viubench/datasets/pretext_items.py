"""Pretext items as samples: built from videos, read from a build folder, or from the paper's published parquet rows.

Example:
    built = read(Path("items"), Catalogue(), FrameCache(Path("cache")))
    built.samples[0].task
    # 'viubench_count_easy'
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from viubench.datasets.dataset import Dataset
from viubench.errors import MediaError, ViubenchError
from viubench.pretext.generate import sample_of
from viubench.pretext.published_rows import read_parquet
from viubench.schema import Item, Sample, Task, wording
from viubench.tasks.registry import Catalogue
from viubench.video.discover import folder_of
from viubench.video.frame_cache import FrameCache


def read(
    source: Path, catalogue: Catalogue, cache: FrameCache, videos: Path | None = None, option: str = "--data-root"
) -> Dataset:
    """The items of a build folder, of one file of items, or the rows of the parquet files in a folder.

    Args:
        catalogue: knows the tasks of published rows and of a lone file; a build brings its own.
        cache: remembers how long the videos of published rows are.
        videos: where the videos lie now, when not where they lay at the build or beside the rows.
        option: what `source` was given with, for the message.

    Raises:
        ViubenchError: neither is there, or a row cannot be read; names the file and the line.
    """
    items = source if source.is_file() else source / "items.jsonl"
    folder = items.parent
    if items.exists() and (folder / "build.json").exists():
        try:
            about = json.loads((folder / "build.json").read_bytes())
            tasks = {name: Task.model_validate(task) for name, task in about["tasks"].items()}
            built_from, recipe = folder / about["videos_root"], about["recipe"]["recipe"]
            frames = about.get("frames")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ViubenchError(
                "build.json is missing or damaged beside items.jsonl",
                where=str(folder / "build.json"),
                hint="build the items again",
            ) from None
        return Dataset(tasks, _items(items, tasks.get), folder_of(videos or built_from.resolve()), recipe, frames)
    task_of = functools.cache(catalogue.task)  # which reads its file
    if items.exists():
        samples = _items(items, task_of)
        return Dataset({s.task: task_of(s.task) for s in samples}, samples, videos or folder)
    rows = [sample for path in sorted(source.rglob("*.parquet")) for sample in read_parquet(path)]
    if rows:
        root = videos or source
        samples = [_timed(_relocated(sample, root), root, cache) for sample in rows]
        return Dataset({s.task: task_of(s.task) for s in samples}, samples, root, published=True)
    raise ViubenchError(
        f"{source} holds neither items.jsonl nor parquet files" if source.exists() else f"there is no folder {source}",
        where=option,
        hint="build items with: viubench build --recipe viubench-mini --videos DIR --out DIR",
    )


def select(built: Dataset, sizes: Mapping[str, int | None]) -> list[Sample]:
    """The first so many samples of each requested task, in file order; all of them where no size is given.

    Raises ViubenchError where there are fewer, or none.
    """
    chosen: list[Sample] = []
    for task, size in sizes.items():
        matches = [sample for sample in built.samples if sample.task == task]
        requested = max(len(matches), 1) if size is None else size
        if len(matches) < requested:
            raise ViubenchError(
                f"{task}: {requested} items requested, {len(matches)} are there",
                where=str(built.videos) if built.published else "items",
                hint="build more, or name the suite that was built",
            )
        chosen += matches[:requested]
    return chosen


def _relocated(sample: Sample, root: Path) -> Sample:
    """Absolute paths of the machine that wrote the rows, as they are below `root`: the longest ending that exists."""

    def moved(path: str) -> str:
        if not path.startswith("/"):
            return path
        parts = PurePosixPath(path).parts[1:]
        endings = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((ending for ending in endings if (root / ending).exists()), path)

    clips = tuple(
        clip.model_copy(update={"path": moved(clip.path), "frame_files": tuple(map(moved, clip.frame_files))})
        for clip in sample.clips
    )
    return replace(sample, clips=clips)


def _timed(sample: Sample, root: Path, cache: FrameCache) -> Sample:
    """What an interval is measured against, where the row does not say: the length of its video."""
    if "times" in sample.params or len(sample.clips) != 1 or sample.clips[0].frame_files:
        return sample
    try:
        end = cache.probe(sample.clips[0], root).duration
    except MediaError:  # the run will say what is wrong with it, and count the sample as wrong
        return sample
    return replace(sample, params={**sample.params, "times": [0.0, end]})


def _items(path: Path, task_of: Callable[[str], Task | None]) -> list[Sample]:
    samples = []
    once: dict[Any, Any] = {}
    alike: dict[str, Any] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                item = Item.model_validate_json(line)
                if (task := task_of(item.task)) is None:
                    raise ValueError(f"its task {item.task!r} is not in build.json")
                for key in ("indices", "times"):  # which the items of a video have alike
                    alike[key] = once.setdefault((key, getattr(item.params, key)), getattr(item.params, key))
                item = item.model_copy(update={"params": item.params.model_copy(update=alike)})
                samples.append(sample_of(item, task))
            except (ValidationError, ValueError, KeyError) as error:
                about = wording.first_in_words(error, Item) if isinstance(error, ValidationError) else str(error)
                reason = about.splitlines()[0]
                raise ViubenchError(f"an item cannot be read: {reason}", where=f"{path}:{number}") from None
    return samples
