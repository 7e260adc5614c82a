"""Rows in the schema in which the paper's VIUBench and VideoSSR-30K are published, as samples.

Example:
    >>> samples = read_parquet(Path("viubench.parquet"))   # doctest: +SKIP
    >>> samples[0].task, samples[0].target                 # doctest: +SKIP
    ('viubench_ground_mirror', [12.4, 19.9])

Columns: data_source, prompt (messages), videos ({"video": path or list of frame files, "sample_fps"}), reward_model
({"ground_truth"}), extra_info. The wording of the questions is the rows' own. A jigsaw row may call itself "shuffled":
the released builder writes that word, and its reward knows only "jigsaw".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet

import evaluators
from viubench.errors import ViubenchError
from viubench.schema import Clip, Sample, content_hash
from viubench.video.sampling import edges

COLUMNS = ("data_source", "prompt", "videos", "reward_model", "extra_info")
EVALUATORS = {"ground": "temporal_iou", "count": "shape_counts", "jigsaw": "permutation"}
KINDS = (
    ("ground", re.compile(r"grounding|ground|anomaly")),
    ("count", re.compile(r"count")),
    ("jigsaw", re.compile(r"jigsaw|shuffled")),
)
"""Kind of a row by its data_source; grounding comes first, as its name may add the perturbation "shuffle"."""

GROUND_TYPES = {
    "channel_swap": re.compile(r"channel"),
    "rotate": re.compile(r"rotat(e|ion)?_?(180)?$|upside"),
    "zoom_out": re.compile(r"zoom_?out"),
    "mirror": re.compile(r"mirror"),
    "shuffle": re.compile(r"shuffle"),
}
"""VIUBench's grounding types by the name of the perturbation; the others have no task of their own there."""

TYPE_KEYS = ("perturbation_type", "perturbation", "task_type", "task", "type", "difficulty", "level", "category")
SOURCE_KEYS = ("video_id", "source_video", "video")
EASY, HARD = {"max_frames": 3, "max_instances": 3}, {"max_frames": 4, "max_instances": 4}


class _Row(NamedTuple):
    """One row and where it stands, for error messages."""

    data: Mapping[str, Any]
    where: str

    def fail(self, column: str, message: str) -> ViubenchError:
        return ViubenchError(message, where=f"{self.where}, column {column}")


def read_parquet(path: Path) -> list[Sample]:
    """Every row of a parquet file as a sample; paths of videos stay as they are written.

    Grounding rows get `viubench_ground_<type>` where the row tells one of VIUBench's types, counting rows
    `viubench_count_easy` or `_hard` where it tells that, jigsaw rows of 6 and 8 clips `viubench_jigsaw_easy` and
    `_hard`; all others `videossr_ground`, `videossr_count` and `videossr_jigsaw`.

    Raises:
        ViubenchError: no parquet file, a missing column, or a row that cannot be read; names file, row and column.
    """
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise ViubenchError(f"no parquet file: {str(error).splitlines()[0]}", where=str(path)) from None
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise ViubenchError(
            f"no column {missing[0]!r}", where=str(path), hint=f"the published schema has {', '.join(COLUMNS)}"
        )
    rows = table.select(list(COLUMNS)).to_pylist()
    samples: list[Sample] = []
    times_seen: Counter[str] = Counter()
    for number, row in enumerate(rows):
        sample = _sample(_Row(row, f"{path}: row {number}"))
        times_seen[sample.id] += 1
        # A question that is there twice counts twice, as it did when the file was published.
        again = "" if times_seen[sample.id] == 1 else f"-{times_seen[sample.id]}"
        samples.append(sample.model_copy(update={"id": sample.id + again}))
    return samples


def _sample(row: _Row) -> Sample:
    source = row.data["data_source"]
    words = str(source).lower()
    kind = next((name for name, pattern in KINDS if pattern.search(words)), None)
    if kind is None:
        raise row.fail("data_source", f"neither grounding, counting, jigsaw nor shuffled: {source!r}")
    question = _question(row)
    clips = _clips(row)
    if question.count("<video>") != len(clips):
        raise row.fail("prompt", f"{question.count('<video>')} times <video> for {len(clips)} videos")
    reward = _struct(row, "reward_model")
    answer = str(reward.get("ground_truth", "")).strip()
    evaluator = evaluators.get(EVALUATORS[kind])
    try:
        target = evaluator.target(answer)
    except ValueError as error:
        raise row.fail("reward_model", str(error)) from None
    if kind == "jigsaw" and len(target) != len(clips):
        raise row.fail("reward_model", f"{len(target)} clips in the answer {answer!r}, {len(clips)} videos")
    extra = _struct(row, "extra_info")
    named = [_snake(str(source)), *(_snake(str(extra[key])) for key in TYPE_KEYS if isinstance(extra.get(key), str))]
    task, params = _task(kind, named, target, clips)
    cluster = next((str(extra[key]) for key in SOURCE_KEYS if extra.get(key)), _video_of(clips[0]))
    identity = content_hash([task, question, answer, [clip.model_dump(mode="json") for clip in clips]])
    return Sample(
        id=f"{task}-{identity[:12]}",
        task=task,
        cluster=cluster,
        clips=clips,
        question=question,
        target=target,
        answer_text=answer,
        params=params,
    )


def _task(kind: str, named: list[str], target: Any, clips: tuple[Clip, ...]) -> tuple[str, dict[str, Any]]:
    """The task a row belongs to, and what an evaluator may know of how it was drawn."""
    if kind == "jigsaw":
        tasks = {6: "viubench_jigsaw_easy", 8: "viubench_jigsaw_hard"}
        return tasks.get(len(clips), "videossr_jigsaw"), {"n": len(clips)}
    if kind == "count":
        for level, limits in (("easy", EASY), ("hard", HARD)):
            if any(level in name for name in named):
                return f"viubench_count_{level}", dict(limits)
        # The training rows do not say; they were drawn with the easy limits (paper, section 5), where 9 is the most.
        return "videossr_count", dict(EASY if max(target) <= 9 else HARD)
    types = [known for known, pattern in GROUND_TYPES.items() if any(pattern.search(name) for name in named)]
    clip = clips[0]
    params: dict[str, Any] = {}
    if clip.frame_fps and len(clip.frame_files) > 1:
        shown = edges(np.arange(len(clip.frame_files)) / clip.frame_fps)
        params = {"frames": len(clip.frame_files), "times": [float(edge) for edge in shown]}
    return (f"viubench_ground_{types[0]}" if len(types) == 1 else "videossr_ground"), params


def _question(row: _Row) -> str:
    """All messages of the prompt but the model's, their texts in order; a content part that is a video is `<video>`."""
    messages = _parsed(row, "prompt")
    if not isinstance(messages, list) or not messages:
        raise row.fail("prompt", "a list of messages is wanted")
    texts = []
    for message in messages:
        if not isinstance(message, dict) or "content" not in message:
            raise row.fail("prompt", "a message without content")
        if message.get("role") == "assistant":
            continue
        content = message["content"]
        parts = content if isinstance(content, list) else [content]
        texts.append("".join(_part(row, part) for part in parts).strip())
    return "\n".join(filter(None, texts))


def _part(row: _Row, part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") == "video":
        return "<video>\n"
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise row.fail("prompt", f"neither text nor a video: {part!r}")


def _clips(row: _Row) -> tuple[Clip, ...]:
    videos = _parsed(row, "videos")
    if not isinstance(videos, list) or not videos:
        raise row.fail("videos", "a list of videos is wanted")
    return tuple(_clip(row, number, video) for number, video in enumerate(videos))


def _clip(row: _Row, number: int, video: Any) -> Clip:
    facts = video if isinstance(video, dict) else {"video": video}
    held = facts.get("video")
    if isinstance(held, str) and held:
        return Clip(path=_path(held))
    if isinstance(held, list) and held and all(isinstance(file, str) and file for file in held):
        fps = facts.get("sample_fps")
        if not isinstance(fps, (int, float)) or not 0 < fps < 10_000:
            raise row.fail("videos", f"video {number} is a list of frames: sample_fps must say how fast, not {fps!r}")
        return Clip(frame_files=tuple(map(_path, held)), frame_fps=float(fps))
    raise row.fail("videos", f"video {number} is neither a path nor a list of frame files")


def _path(text: str) -> str:
    return text.removeprefix("file://")


def _video_of(clip: Clip) -> str:
    """Name of the source by its path: the file, or the folder its frames lie in."""
    return clip.path or str(Path(clip.frame_files[0]).parent)


def _struct(row: _Row, column: str) -> dict[str, Any]:
    value = _parsed(row, column)
    if value is None and column == "extra_info":
        return {}
    if not isinstance(value, dict):
        raise row.fail(column, f"a record is wanted, not {type(value).__name__}")
    return value


def _parsed(row: _Row, column: str) -> Any:
    """The value of a column; one that is JSON text is read."""
    value = row.data[column]
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise row.fail(column, "text that is no JSON") from None
    return value


def _snake(text: str) -> str:
    """ChannelSwap, channel-swap and "channel swap" are one name."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower())
