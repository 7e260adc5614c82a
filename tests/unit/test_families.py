"""How families take frames: what is read from a checkpoint's files, how times are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from viubench.engines.families import FAMILIES, FrameFormat, Stamp, family, frame_format, frame_tokens
from viubench.video.timestamps import missing

QWEN = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2, "size": {"shortest_edge": 1, "longest_edge": 2}}
SQUARE = {"height": 448, "width": 448}


def checkpoint(folder: Path, model_type: str, config: dict[str, Any], processor: dict[str, Any]) -> dict[str, Any]:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, **config}))
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return {"path": str(folder), "model_type": model_type}


@pytest.mark.parametrize(
    ("model_type", "config", "processor", "expected", "tokens"),
    [
        ("qwen2_5_vl", {}, {"video_processor": QWEN, "image_processor": QWEN}, FrameFormat(28), None),
        ("internvl", {"vision_config": {"patch_size": [14, 14], "image_size": [448, 448]}},
         {"image_seq_length": 256, "video_processor": {"size": SQUARE}}, FrameFormat(None, (448, 448), 1), 256),
        ("llava_next_video", {"image_seq_length": 576, "vision_config": {"patch_size": 14, "image_size": 336}},
         {"video_processor": {"crop_size": {"height": 336, "width": 336}, "size": {"shortest_edge": 336}}},
         FrameFormat(None, (336, 336), 1), 144),
        ("gemma4", {}, {"video_processor": {"patch_size": 16, "pooling_kernel_size": 3, "max_soft_tokens": 70}},
         FrameFormat(48, None, 1, None, 70 * 48 * 48, True), None),
        ("minicpmv4_6", {}, {"video_processor": {"patch_size": 14, "scale_resolution": 448}},
         FrameFormat(56, None, 1, None, 448 * 448), None),
    ],
)  # fmt: skip
def test_sizes_are_read_from_the_files(
    tmp_path: Path, model_type: str, config: dict[str, Any], processor: dict[str, Any], expected: FrameFormat,
    tokens: int | None,
) -> None:  # fmt: skip
    found = checkpoint(tmp_path, model_type, config, processor)
    assert frame_format(found) == expected
    assert frame_tokens(found) == tokens


def test_a_family_that_is_not_in_the_table_is_guessed_from_its_processor(tmp_path: Path) -> None:
    assert family(checkpoint(tmp_path, "new", {}, {"image_processor": {"size": SQUARE}})).hf == "images"
    assert family(checkpoint(tmp_path, "new", {}, {"video_processor": {"size": SQUARE}})).hf == "video"


def test_times_are_written_as_each_processor_writes_them() -> None:
    times = [0.0, 0.5, 75.25]
    assert FAMILIES["qwen3_vl"].stamp.texts(times, 2) == ["<0.2 seconds>", "<75.2 seconds>"]  # type: ignore[union-attr]
    assert FAMILIES["gemma4"].stamp.texts(times) == ["00:00", "00:00", "01:15"]  # type: ignore[union-attr]
    assert FAMILIES["kimi_k25"].stamp.texts(times)[2] == "00:01:15.250"  # type: ignore[union-attr]


def test_the_label_of_a_video_right_before_a_time_is_no_part_of_it() -> None:
    stamp = FAMILIES["gemma4"].stamp
    assert stamp is not None
    expected = stamp.texts([0.0, 1.0, 0.0, 1.0])
    prompt = "Clip 1:00:00 frame 00:01 frame Clip 2:{} frame 00:01 frame"
    assert missing(prompt.format("00:00"), expected, stamp.pattern) is None
    assert missing(prompt.format("00:10"), expected, stamp.pattern) is not None
    assert missing(prompt.format("00:00").replace("00:01", "1:00:11"), expected, stamp.pattern) is not None


@pytest.mark.parametrize("stamp", [row.stamp for row in FAMILIES.values() if row.stamp], ids=lambda stamp: stamp.form)
def test_what_a_stamp_writes_it_finds(stamp: Stamp) -> None:
    texts = stamp.texts([0.0, 3.5, 4000.1])
    assert stamp.pattern.findall(" ".join(texts)) == texts
