"""MVBench: 20 files of 200 rows, and two preparations of the videos, which differ by their folders.

Example: for the first row of `json/episodic_reasoning.json`, where `video/tvqa/frames_fps3_hq` is on disk,

    {"task": "episodic_reasoning", "path": "tvqa/frames_fps3_hq/castle_s01e02", "start": 11.0, "end": 19.5, ...}

Revision `main` holds whole videos, and frame folders for TVQA: three sources are then cut at the row's `start` and
`end`. Revision `video` holds them cut and converted: the bounds must not be applied again, so they are None. Each
source is checked by itself; where neither folder is there, the paths are those of revision `video`, the task's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from viubench.datasets.adapters import RowFile
from viubench.datasets.choices import letter_of, lettered

ROOTS = ("video", "", "video/data0613", "data0613")
"""Where the source folders may lie, those of data0613.zip (added clips) last; the task's `video.roots` are the same."""


class Source(NamedTuple):
    """The folder of a source in revision `main` and in revision `video`, where its clips are `cut` already or not."""

    whole: str
    converted: str
    cut: bool = False


_TASKS = {
    Source("star/Charades_v1_480", "star/Charades_segment", cut=True): (
        "action_sequence",
        "action_prediction",
        "object_interaction",
    ),
    Source("sta/sta_video", "sta/sta_video_segment", cut=True): ("action_localization",),
    Source("tvqa/frames_fps3_hq", "tvqa/video_fps3_hq_segment", cut=True): ("episodic_reasoning",),
    Source("ssv2_video", "ssv2_video_mp4"): ("action_antonym",),
    Source("nturgbd", "nturgbd_convert"): ("fine_grained_pose",),
    Source("clevrer/video_validation", "clevrer/video_validation"): (
        "object_existence",
        "moving_direction",
        "moving_count",
        "moving_attribute",
        "counterfactual_inference",
    ),
    Source("perception/videos", "perception/videos"): (
        "object_shuffle",
        "action_count",
        "state_change",
        "character_order",
    ),
    Source("Moments_in_Time_Raw/videos", "Moments_in_Time_Raw/videos"): ("fine_grained_action",),
    Source("FunQA_test/test", "FunQA_test/test"): ("unexpected_action",),
    Source("scene_qa/video", "scene_qa/video"): ("scene_transition",),
    Source("vlnqa", "vlnqa"): ("egocentric_navigation",),
}
SOURCES = {task: source for source, tasks in _TASKS.items() for task in tasks}
"""Sub-task (the file's stem) -> where its videos come from."""


def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question: the publisher's fields, with `start` and `end` in seconds or None, and also `task` (the
    sub-task), `source` (the data set of the video), `path` (below one of `ROOTS`), `options` ("A. ...") and `letter`.

    Raises ValueError for a file that is no sub-task, or an answer that is none of its candidates.
    """
    for file in files:
        if file.stem not in SOURCES:
            raise ValueError(f"{file.path} is none of the sub-tasks {', '.join(SOURCES)}")
        source = SOURCES[file.stem]
        whole = _has(file.folder, source.whole) and not _has(file.folder, source.converted)
        for index, row in enumerate(file.content):
            cuts = source.cut and whole
            try:
                yield row | {
                    "task": file.stem,
                    "source": source.whole.partition("/")[0],
                    "path": f"{source.whole if whole else source.converted}/{row['video']}",
                    "start": row["start"] if cuts else None,
                    "end": row["end"] if cuts else None,
                    "options": lettered(row["candidates"]),
                    "letter": letter_of(row["candidates"], row["answer"]),
                    **file.place(index),
                }
            except (KeyError, TypeError, ValueError) as error:
                lacks = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                raise ValueError(f"{file.path}, row {index}: {lacks}") from None


def _has(folder: Path, source: str) -> bool:
    return any((folder / root / source).is_dir() for root in ROOTS)
