"""How each family of models takes frames and reads their times, in one table; what a checkpoint's files say themselves
(patch and merge sizes, fixed frame sizes) is read from them.

Example:
    frame_format(describe_checkpoint("tiny-qwen3-vl"))
    # FrameFormat(multiple=32, fixed=None, group=2, most=None, pixels=None)
    FAMILIES["gemma4"].stamp.texts([0.0, 75.0])
    # ['00:00', '01:15']
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class FrameFormat:
    """How a model takes its frames; None where that is not known.

    Attributes:
        multiple: of both sides in pixels (patch size x merge).
        fixed: the one size (height, width) all frames have.
        group: frames that are merged into one in time (temporal patch size).
        most: frames of one video, at most.
        pixels: of one frame, at most.
    """

    multiple: int | None = None
    fixed: tuple[int, int] | None = None
    group: int = 2
    most: int | None = None
    pixels: int | None = None


@dataclass(frozen=True)
class Stamp:
    """How a processor writes times into the prompt: the `form` of one, for which frame of each group of merged ones.

    A form may name `seconds` (a float), `whole` (seconds without their fraction), `minute` and `second`, or `clock`
    (hours, minutes, seconds and milliseconds).
    """

    form: str
    of: Literal["mean", "first"] = "mean"  # of the first and last frame of a group, or of its first frame

    def texts(self, times: Sequence[float], group: int = 1) -> list[str]:
        """What is written for frames at `times` seconds; the last frame fills its group."""
        full = [*times, *[times[-1]] * (-len(times) % group)]
        ends = full[group - 1 :: group] if self.of == "mean" else full[::group]
        return [self._text((first + end) / 2) for first, end in zip(full[::group], ends, strict=True)]

    def _text(self, seconds: float) -> str:
        whole = int(seconds)
        clock = f"{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{int(seconds % 1 * 1000):03d}"
        return self.form.format(seconds=seconds, whole=whole, minute=whole // 60, second=whole % 60, clock=clock)

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds what may be such a time in a prompt."""
        texts = re.split(r"{[^}]*}", self.form)
        return re.compile(r"\d+(?:[.:]\d+)*".join(map(re.escape, texts)))


Medium = Literal["video", "images"]


@dataclass(frozen=True)
class Family:
    """How one family is shown frames: the best way that it has.

    Attributes:
        hf, vllm: as a video, or as still images with the time written before each, by engine.
        stamp: how its processor writes times into the prompt.
        positions: whether the seconds between frames go into the positions of their tokens.
        ticks: its processor needs times in whole milliseconds, because it rounds 1 / fps or counts `total / duration`.
        merge: patches along a side of one token, where the files call it by no name that others do.
        pool: the same for models with one fixed frame size, rounded up.
        extra: further tokens of each frame; `newline` of each video.
        nested: its processor takes the videos of one prompt as a list in a list.
        resizes: its processor must resize frames itself, whatever size they have.
        video, images: arguments of the processor's own that keep frames whole: no tiles, no drawing on them.
        start: engine arguments that vLLM needs to start it.
    """

    hf: Medium = "video"
    vllm: Medium = "video"
    stamp: Stamp | None = None
    positions: bool = False
    ticks: bool = False
    merge: int | None = None
    pool: int = 1
    extra: int = 0
    newline: int = 0
    nested: bool = False
    resizes: bool = False
    video: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)


_QWEN3 = Stamp("<{seconds:.1f} seconds>")
_GLM46 = Stamp("<|end_of_image|>{seconds:.1f} seconds", "first")
_GLM4 = Stamp("<|end_of_image|>{whole}", "first")
_MINUTES = Stamp("{minute:02d}:{second:02d}", "first")

_UNTILED = {"do_image_splitting": False}
_STILLS = Family("images", "images")

FAMILIES: Mapping[str, Family] = {
    "qwen2_vl": Family(),
    "qwen2_5_vl": Family(positions=True, ticks=True),
    "qwen2_5_omni": Family(positions=True, ticks=True),
    "qwen3_omni_moe": Family(positions=True, ticks=True),
    "qwen3_vl": Family(stamp=_QWEN3),
    "qwen3_vl_moe": Family(stamp=_QWEN3),
    "qwen3_5": Family(stamp=_QWEN3, start={"dtype": "bfloat16"}),
    "qwen3_5_moe": Family(stamp=_QWEN3, start={"dtype": "bfloat16"}),
    "qwen4_exp": Family(stamp=_QWEN3),
    "cosmos3_edge": Family(stamp=_QWEN3),
    "cosmos3_omni": Family(stamp=_QWEN3),
    "cohere_compass": Family(stamp=_QWEN3, vllm="images"),
    "glm4v": Family(stamp=_GLM4),
    "glm4v_moe": Family(stamp=_GLM4),
    "glm46v": Family(stamp=_GLM46),
    "glm46v_moe": Family(stamp=_GLM46),
    "glmga": Family(stamp=_GLM46),
    "glm5_next": Family(stamp=_GLM46),
    "video_llama_3": Family(stamp=Stamp("Time {seconds:.1f}s:")),
    "muse_glimmer": Family(stamp=Stamp("Time: {seconds:.1f}s", "first")),
    "minimax_m3_vl": Family(stamp=Stamp("]<]{seconds:.1f} seconds[>[", "first")),
    "kimi_k25": Family(stamp=Stamp("{clock}", "first")),
    "nemotron_h_omni": Family(stamp=Stamp("sampled at {seconds:.2f} seconds"), ticks=True, resizes=True),
    "gemma4": Family(stamp=_MINUTES),
    "gemma4_unified": Family(stamp=_MINUTES),
    "smolvlm": Family(stamp=_MINUTES, vllm="images", pool=3, nested=True, images=_UNTILED),
    "ernie4_5_vl_moe": Family(video={"draw_on_frames": False}),
    "internvl": Family(pool=2, images={"crop_to_patches": False}),
    "llava_onevision": Family(pool=2, newline=1),
    "llava_next_video": Family(pool=2),
    "video_llava": Family(vllm="images", extra=1),
    "perception_lm": Family(vllm="images", pool=2, images={"vision_input_type": "vanilla"}),
    "minicpmv4_6": Family(merge=4, video={"max_slice_nums": 1}, images={"max_slice_nums": 1}),
    "minicpmv4_7": Family(merge=4, video={"max_slice_nums": 1}, images={"max_slice_nums": 1}),
    "keye": Family(),
    "exaone4_5": Family(vllm="images"),
    "hyperclovax_vision_v2": Family(),
    "gemma3": Family("images", "images", images={"do_pan_and_scan": False}),
    "llava": _STILLS,
    "kimi_vl": _STILLS,
    "mistral3": _STILLS,
    "idefics3": Family("images", "images", images=_UNTILED),
}

_MERGES = ("merge_size", "spatial_merge_size", "pooling_kernel_size", "merge_kernel_size", "spatial_patch_merge_size")
_LENGTHS = ("image_seq_length", "image_seq_len")


def family(checkpoint: Mapping[str, Any]) -> Family:
    """The row of `FAMILIES`; for a model type that is not in it a guess from the files of its processor."""
    row = FAMILIES.get(checkpoint.get("model_type") or "")
    if row is not None:
        return row
    folder = Path(checkpoint["path"])
    video = _read(folder / "processor_config.json").get("video_processor")
    return Family() if video or (folder / "video_preprocessor_config.json").is_file() else _STILLS


def frame_format(checkpoint: Mapping[str, Any], medium: Medium | None = None) -> FrameFormat:
    """How the model of `describe_checkpoint` takes its frames, from its files alone; `medium` as the hf engine shows
    them where it is not given."""
    row, settings = family(checkpoint), processor_settings(checkpoint)
    patch, merge = settings.get("patch_size"), row.merge or next(_numbers(settings, _MERGES), None)
    group = settings.get("temporal_patch_size", 1) if (medium or row.hf) == "video" else 1
    if isinstance(patch, int) and merge:
        side = patch * merge
        most = settings.get("max_soft_tokens", 0) * side**2 or settings.get("scale_resolution", 0) ** 2
        return FrameFormat(side, None, group, None, most or None)
    return FrameFormat(None, _fixed_size(settings), group)


def frame_tokens(checkpoint: Mapping[str, Any]) -> int | None:
    """Vision tokens of one frame of a model with one fixed frame size; None where the files do not say."""
    row, settings = family(checkpoint), processor_settings(checkpoint)
    size, patch = frame_format(checkpoint).fixed, settings.get("patch_size")
    if size is None or not isinstance(patch, int):
        return None
    if told := next(_numbers(settings, _LENGTHS), None):
        return told
    height, width = (-(-(side // patch) // row.pool) for side in size)
    return height * width + row.extra


def processor_settings(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What configuration and processor say about frames, in one place; the video processor's word counts most."""
    folder = Path(checkpoint["path"])
    config = _read(folder / "config.json")
    vision = config.get("vision_config") or (config.get("thinker_config") or {}).get("vision_config") or {}
    processor = _read(folder / "processor_config.json")
    merged = vision | processor
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        merged |= _read(folder / name)
    for name in ("image_processor", "video_processor"):
        merged |= processor.get(name) or {}
    if isinstance(patch := merged.get("patch_size"), list):
        merged["patch_size"] = patch[0]
    return merged


def _fixed_size(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size that a processor crops or squeezes every frame to."""
    for name in ("crop_size", "max_image_size", "size", "image_size"):
        size = settings.get(name)
        if isinstance(size, int):
            return size, size
        if isinstance(size, list) and len(size) == 2:
            return int(size[0]), int(size[1])
        if isinstance(size, dict) and "height" in size and "width" in size:
            return int(size["height"]), int(size["width"])
        if isinstance(size, dict) and (edges := {*size} & {"shortest_edge", "longest_edge"}) and len(edges) == 1:
            edge = int(size[edges.pop()])
            return edge, edge
    return None


def _numbers(settings: Mapping[str, Any], names: Sequence[str]) -> Iterator[int]:
    """The positive numbers under `names`, of a list its first."""
    for name in names:
        value = settings.get(name)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, int) and value > 0:
            yield value


def _read(path: Path) -> dict[str, Any]:
    """An empty one where the file is not there or does not read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
