"""MVBench: 20 files of 200 rows, and two preparations of the videos, which differ by their folders.

Example: for the first row of `json/episodic_reasoning.json`, where `video/tvqa/frames_fps3_hq` is on disk,

    {"task": "episodic_reasoning", "path": "tvqa/frames_fps3_hq/castle_s01e02", "start": 11.0, "end": 19.5, ...}

Revision `main` holds whole videos, and frame folders for TVQA: three sources are then cut at the row's `start` and
`end`. Revision `video` holds them cut and converted: the bounds must not be applied again, so they are None. Each
source is checked by itself; where neither folder is there, the paths are those of revision `video`, the task's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.datasets.adapters.lettering import letter_of, lettered

ROOTS = ("video", "", "video/data0613", "data0613")
"""Where the source folders may lie, those of data0613.zip (added clips) last; the task's `video.roots` are the same."""


@dataclass(frozen=True)
class Source:
    """The folder of a source in revision `main` and in revision `video`, where its clips are `cut` already or not."""

    whole: str
    converted: str
    cut: bool = False


STAR = Source("star/Charades_v1_480", "star/Charades_segment", cut=True)
STA = Source("sta/sta_video", "sta/sta_video_segment", cut=True)
TVQA = Source("tvqa/frames_fps3_hq", "tvqa/video_fps3_hq_segment", cut=True)
SSV2 = Source("ssv2_video", "ssv2_video_mp4")
NTU = Source("nturgbd", "nturgbd_convert")
CLEVRER = Source("clevrer/video_validation", "clevrer/video_validation")
PERCEPTION = Source("perception/videos", "perception/videos")
MOMENTS = Source("Moments_in_Time_Raw/videos", "Moments_in_Time_Raw/videos")
FUNQA = Source("FunQA_test/test", "FunQA_test/test")
SCENE = Source("scene_qa/video", "scene_qa/video")
VLN = Source("vlnqa", "vlnqa")

SOURCES = {
    "action_sequence": STAR,
    "action_prediction": STAR,
    "action_antonym": SSV2,
    "fine_grained_action": MOMENTS,
    "unexpected_action": FUNQA,
    "object_existence": CLEVRER,
    "object_interaction": STAR,
    "object_shuffle": PERCEPTION,
    "moving_direction": CLEVRER,
    "action_localization": STA,
    "scene_transition": SCENE,
    "action_count": PERCEPTION,
    "moving_count": CLEVRER,
    "moving_attribute": CLEVRER,
    "state_change": PERCEPTION,
    "fine_grained_pose": NTU,
    "character_order": PERCEPTION,
    "egocentric_navigation": VLN,
    "episodic_reasoning": TVQA,
    "counterfactual_inference": CLEVRER,
}
"""Sub-task (the file's stem) -> where its videos come from."""


def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question: the publisher's fields, with `start` and `end` in seconds or None, and also `task` (the
    sub-task), `source` (the data set of the video), `path` (below one of `ROOTS`), `options` ("A. ...") and `letter`.

    Raises:
        ValueError: a file that is no sub-task, or an answer that is none of its candidates.
    """
    for file in files:
        if file.stem not in SOURCES:
            raise ValueError(f"{file.path} is none of the sub-tasks {', '.join(SOURCES)}")
        source = SOURCES[file.stem]
        whole = _has(file.folder, source.whole) and not _has(file.folder, source.converted)
        for index, row in enumerate(file.content):
            bounds = (row["start"], row["end"]) if source.cut and whole else (None, None)
            yield row | {
                "task": file.stem,
                "source": source.whole.partition("/")[0],
                "path": f"{source.whole if whole else source.converted}/{row['video']}",
                "start": bounds[0],
                "end": bounds[1],
                "options": lettered(row["candidates"]),
                "letter": letter_of(row["candidates"], row["answer"]),
                **file.place(index),
            }


def _has(folder: Path, source: str) -> bool:
    return any((folder / root / source).is_dir() for root in ROOTS)
