"""Rows in the schema in which the paper's VIUBench and VideoSSR-30K are published, as samples.

Example:
    samples = read_parquet(Path("viubench.parquet"))
    samples[0].task, samples[0].target
    # ('viubench_ground_mirror', [12.4, 19.9])

Columns: data_source, prompt (messages), videos ({"video": path or list of frame files, "sample_fps"}), reward_model
({"ground_truth"}), extra_info. The questions are asked as the rows word them. A jigsaw row may call itself "shuffled":
the released builder writes that word, and its reward knows only "jigsaw".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow.parquet
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

import evaluators
from viubench.errors import ViubenchError
from viubench.schema import Clip, Sample, content_hash, wording
from viubench.video.sampling import edges

COLUMNS = ("data_source", "prompt", "videos", "reward_model", "extra_info")
EVALUATORS = {"ground": "temporal_iou", "count": "shape_counts", "jigsaw": "permutation"}
KINDS = {"ground": r"ground|anomaly", "count": r"count", "jigsaw": r"jigsaw|shuffled"}
"""Kind of a row by its data_source; grounding comes first, as its name may add the perturbation "shuffle"."""

GROUND_TYPES = {
    "channel_swap": "channel", "rotate": r"rotat(e|ion)?_?(180)?$|upside", "zoom_out": "zoom_?out", "mirror": "mirror",
    "shuffle": "shuffle",
}  # fmt: skip
"""VIUBench's grounding types by the name of the perturbation; the others have no task of their own there."""

TYPE_KEYS = ("perturbation_type", "perturbation", "task_type", "task", "type", "difficulty", "level", "category")
SOURCE_KEYS = ("video_id", "source_video", "video")
EASY, HARD = {"max_frames": 3, "max_instances": 3}, {"max_frames": 4, "max_instances": 4}


def _parsed(value: Any) -> Any:
    """The value of a column; JSON text is parsed."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise ValueError("text that is no JSON") from None


def _part(part: Any) -> str:
    """Text of a part of a message; a video is `<video>`."""
    if isinstance(part, str):
        return part
    match part:
        case {"type": "video"}:
            return "<video>\n"
        case {"text": str(text)}:
            return text
    raise ValueError(f"neither text nor a video: {part!r}")


def _clip(video: Any) -> Clip:
    facts = video if isinstance(video, dict) else {"video": video}
    source = facts.get("video")
    if isinstance(source, str) and source:
        return Clip(path=source.removeprefix("file://"))
    if isinstance(source, list) and source and all(isinstance(file, str) and file for file in source):
        fps = facts.get("sample_fps")
        if not isinstance(fps, (int, float)) or not 0 < fps < 10_000:
            raise ValueError(f"a list of frames needs sample_fps, frames a second, not {fps!r}")
        return Clip(frame_files=tuple(file.removeprefix("file://") for file in source), frame_fps=float(fps))
    raise ValueError("neither a path nor a list of frame files")


Json = BeforeValidator(_parsed)
Parts = list[Annotated[str, BeforeValidator(_part)]]


class _Message(BaseModel):
    role: str | None = None
    content: Annotated[Parts, BeforeValidator(lambda parts: parts if isinstance(parts, list) else [parts])]


class _PublishedRow(BaseModel):
    data_source: str
    prompt: Annotated[list[_Message], Json, Field(min_length=1)]
    videos: Annotated[list[Annotated[Clip, BeforeValidator(_clip)]], Json, Field(min_length=1)]
    reward_model: Annotated[dict[str, Any], Json]
    extra_info: Annotated[dict[str, Any] | None, Json]


def read_parquet(path: Path) -> list[Sample]:
    """Every row of a parquet file as a sample; paths of videos stay as they are written.

    Grounding rows get `viubench_ground_<type>` where the row names one of VIUBench's types, counting rows
    `viubench_count_easy` or `_hard` where it says so, jigsaw rows of 6 and 8 clips `viubench_jigsaw_easy` and
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
        try:
            sample = _sample(_PublishedRow.model_validate(row), f"{path}: row {number}")
        except ValidationError as error:
            (column, *inner), said = wording.in_words(error.errors()[0], _PublishedRow)
            raise ViubenchError(
                ".".join(map(str, inner)) + ": " * bool(inner) + said,
                where=f"{path}: row {number}, column {column}",
            ) from None
        times_seen[sample.id] += 1
        # A question that is there twice counts twice, as it did when the file was published.
        again = "" if times_seen[sample.id] == 1 else f"-{times_seen[sample.id]}"
        samples.append(replace(sample, id=sample.id + again))
    return samples


def _sample(row: _PublishedRow, where: str) -> Sample:
    def fail(column: str, message: str) -> ViubenchError:
        return ViubenchError(message, where=f"{where}, column {column}")

    source = row.data_source
    kind = next((name for name, pattern in KINDS.items() if re.search(pattern, source.lower())), None)
    if kind is None:
        raise fail("data_source", f"neither grounding, counting, jigsaw nor shuffled: {source!r}")
    texts = ["".join(message.content).strip() for message in row.prompt if message.role != "assistant"]
    question, clips = "\n".join(filter(None, texts)), tuple(row.videos)
    if question.count("<video>") != len(clips):
        raise fail("prompt", f"{question.count('<video>')} times <video> for {len(clips)} videos")
    answer = str(row.reward_model.get("ground_truth", "")).strip()
    try:
        target = evaluators.get(EVALUATORS[kind]).target(answer)
    except ValueError as error:
        raise fail("reward_model", str(error)) from None
    if kind == "jigsaw" and len(target) != len(clips):
        raise fail("reward_model", f"{len(target)} clips in the answer {answer!r}, {len(clips)} videos")
    extra = row.extra_info or {}
    named = [_snake(source), *(_snake(extra[key]) for key in TYPE_KEYS if isinstance(extra.get(key), str))]
    task, params = _task(kind, named, target, clips)
    own = clips[0].path or str(Path(clips[0].frame_files[0]).parent)
    identity = content_hash([task, question, answer, [clip.model_dump(mode="json") for clip in clips]])
    return Sample(
        id=f"{task}-{identity[:12]}",
        task=task,
        cluster=next((str(extra[key]) for key in SOURCE_KEYS if extra.get(key)), own),
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
    types = [known for known, pattern in GROUND_TYPES.items() if any(re.search(pattern, name) for name in named)]
    params: dict[str, Any] = {}
    if (fps := clips[0].frame_fps) and (frames := len(clips[0].frame_files)) > 1:
        params = {"frames": frames, "times": edges(np.arange(frames) / fps).tolist()}
    return (f"viubench_ground_{types[0]}" if len(types) == 1 else "videossr_ground"), params


def _snake(text: str) -> str:
    """ChannelSwap, channel-swap and "channel swap" are one name."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower())
