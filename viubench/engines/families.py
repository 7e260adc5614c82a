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
from dataclasses import dataclass, field, replace
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
        fills: every frame has as many as fit into `pixels`, whatever size it came in.
    """

    multiple: int | None = None
    fixed: tuple[int, int] | None = None
    group: int = 2
    most: int | None = None
    pixels: int | None = None
    fills: bool = False


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
        rate: its processor takes one frame rate for all videos as an argument, and none from their metadata.
        ticks: its processor needs times in whole milliseconds, because it rounds 1 / fps or counts `total / duration`.
        group: frames that are merged in time, where the files do not say.
        merge: patches along a side of one token, where the files call it by no name that others do.
        pool: the same for models with one fixed frame size, rounded up.
        most: frames of one video, at most.
        fills: its processor makes small frames as large as its limit of tokens allows.
        frame: tokens of a frame, where no sizes tell.
        tiles: pictures that a still image becomes; where there are several, they are not pooled, and each row of the
            last ends in a token.
        extra: further tokens of each frame of a video; `once` of each video.
        around: text that its processor puts around each group of frames besides the time; `intro` before them all.
        drops: its processor leaves out tokens of what does not change between frames.
        nested: its processor takes the videos of one prompt as a list in a list.
        resizes: what its processor must resize itself, whatever size it has.
        text, video, images: arguments of the processor's own; they keep frames whole: no tiles, no drawing on them.
        start: engine arguments that vLLM needs to start it.
    """

    hf: Medium = "video"
    vllm: Medium = "video"
    stamp: Stamp | None = None
    positions: bool = False
    rate: bool = False
    ticks: bool = False
    group: int = 1
    merge: int | None = None
    pool: int = 1
    most: int | None = None
    fills: bool = False
    frame: int | None = None
    tiles: int = 1
    extra: int = 0
    once: int = 0
    around: str = ""
    intro: str = ""
    drops: bool = False
    nested: bool = False
    resizes: tuple[Medium, ...] = ()
    text: Mapping[str, Any] = field(default_factory=dict)
    video: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)


_IMAGE = "<|begin_of_image|>"
_VISION = "<|vision_start|><|vision_end|>"
_SMOL = "You are provided the following series of twenty-two frames from a 0:00:00 [H:MM:SS] video.\n\n\n"

_SMOL_FRAME = "\n<fake_token_around_image><global-img><fake_token_around_image>"

_WHOLE = {"crop_to_patches": False}
_UNTILED = {"do_image_splitting": False}
_STILLS = Family("images", "images")

_LINEAR = {"dtype": "bfloat16", "enable_chunked_prefill": True}
"""vLLM's linear attention on a CPU takes nothing else."""

_QWEN2 = Family(group=2)
_QWEN25 = Family(group=2, positions=True, ticks=True)
_QWEN3 = Family(group=2, stamp=Stamp("<{seconds:.1f} seconds>"), around=_VISION)
_QWEN35 = replace(_QWEN3, start=_LINEAR)
_GLM4 = Family(group=2, stamp=Stamp("<|end_of_image|>{whole}", "first"), around=_IMAGE)
_GLM46 = Family(group=2, stamp=Stamp("<|end_of_image|>{seconds:.1f} seconds", "first"), around=_IMAGE)
_GEMMA4 = Family(
    stamp=Stamp("{minute:02d}:{second:02d}", "first"),
    around="  <|image><image|>",
    fills=True,
    images={"max_soft_tokens": 70},  # pictures as large as frames
    start={"mm_processor_kwargs": {"max_soft_tokens": 70}},
)
_MINICPM = Family(
    vllm="images",  # it slices the frames of videos whatever it is told
    start=_LINEAR,
    merge=4,
    around="<image></image>",
    intro="<image_id>0</image_id>",
    video={"max_slice_nums": 1},
    images={"max_slice_nums": 1},
    resizes=("images",),
)

FAMILIES: Mapping[str, Family] = {
    "qwen2_vl": _QWEN2,
    "qwen2_5_vl": _QWEN25,
    "qwen2_5_omni": replace(_QWEN25, rate=True),
    "qwen3_omni_moe": replace(_QWEN25, rate=True),
    "qwen3_vl": _QWEN3,
    "qwen3_vl_moe": _QWEN3,
    "qwen3_5": _QWEN35,
    "qwen3_5_moe": _QWEN35,
    "qwen4_exp": _QWEN35,
    "cosmos3_edge": replace(_QWEN3, text={"return_mm_token_type_ids": True}),
    "cosmos3_omni": _QWEN3,
    "cohere_compass": replace(_QWEN3, vllm="images"),
    "glm4v": _GLM4,
    "glm4v_moe": _GLM4,
    "glm46v": _GLM46,
    "glm46v_moe": _GLM46,
    "glmga": _GLM46,
    "glm5_next": _GLM46,
    "gemma4": _GEMMA4,
    "gemma4_unified": _GEMMA4,
    "video_llama_3": Family(
        stamp=Stamp("Time {seconds:.1f}s:"), around=",", drops=True,
        start={"mm_processor_kwargs": {"use_token_compression": False}},  # vLLM cannot part videos that lost tokens
    ),
    "muse_glimmer": Family(stamp=Stamp("Time: {seconds:.1f}s", "first"), around=","),
    "minimax_m3_vl": Family(stamp=Stamp("]<]{seconds:.1f} seconds[>[", "first"), around=_VISION),
    "kimi_k25": Family(
        "images", "images",  # transformers cannot split chunks of several frames
        stamp=Stamp("{clock}", "first"), around="<|media_begin|>video<|media_content|><|media_end|>"
    ),
    "nemotron_h_omni": Family(
        stamp=Stamp("sampled at {seconds:.2f} seconds"),
        around="Frame 100 : <img></img>",
        ticks=True,
        resizes=("video", "images"),
    ),
    "smolvlm": Family(
        vllm="images", stamp=Stamp("Frame from {minute:02d}:{second:02d}:", "first"), intro=_SMOL, pool=3, nested=True,
        around=_SMOL_FRAME, images=_UNTILED,
    ),
    "ernie4_5_vl_moe": Family(vllm="images", video={"draw_on_frames": False}),
    "internvl": Family(pool=2, around="Frame100: <img></img>\n", images=_WHOLE),
    "internvl_chat": Family(pool=2, around="Frame100: <img></img>\n", images={"max_dynamic_patch": 1}),
    "llava_onevision": Family(pool=2, once=1, tiles=2),
    "llava_next_video": Family(pool=2, tiles=2),
    "video_llava": Family(vllm="images", extra=1),
    "perception_lm": Family(
        vllm="images", pool=2, images={"vision_input_type": "vanilla"},
        start={"mm_processor_kwargs": {"vision_input_type": "vanilla"}},
    ),
    "minicpmv4_6": _MINICPM,
    "minicpmv4_7": _MINICPM,
    "keye": _QWEN2,
    "exaone4_5": replace(_QWEN2, vllm="images"),
    "hyperclovax_vision_v2": _QWEN2,
    "gemma3": Family(
        "images", "images", around="\n\n<start_of_image><end_of_image>\n\n", images={"do_pan_and_scan": False}
    ),
    "llava": _STILLS,
    "kimi_vl": _STILLS,
    "llava_next": replace(_STILLS, tiles=2),
    "mistral3": replace(_STILLS, merge=1),
    "pixtral": replace(_STILLS, merge=1),
    "idefics3": replace(_STILLS, images=_UNTILED, around=_SMOL_FRAME),
    "aya_vision": replace(_STILLS, images=_WHOLE, around="<|START_OF_IMG|>TILE_GLOBAL<|END_OF_IMG|>"),
    "mllama": replace(_STILLS, frame=1, most=8),  # pictures go beside the text: one token each
}  # fmt: skip

_MERGES = ("merge_size", "spatial_merge_size", "pooling_kernel_size", "merge_kernel_size", "spatial_patch_merge_size")
_LENGTHS = ("image_seq_length", "image_seq_len")


def family(checkpoint: Mapping[str, Any]) -> Family:
    """The row of `FAMILIES`; for a model type that is not in it a guess from the files of its processor."""
    row = FAMILIES.get(checkpoint.get("model_type") or "")
    if row is not None:
        return row
    folder = Path(checkpoint["path"])
    video = read_json(folder / "processor_config.json").get("video_processor")
    return Family() if video or (folder / "video_preprocessor_config.json").is_file() else _STILLS


def frame_format(checkpoint: Mapping[str, Any], medium: Medium | None = None) -> FrameFormat:
    """How the model of `describe_checkpoint` takes its frames, from its files alone; `medium` as the hf engine shows
    them where it is not given."""
    row, settings = family(checkpoint), processor_settings(checkpoint)
    patch, merge = settings.get("patch_size"), row.merge or next(_numbers(settings, _MERGES), None)
    group = settings.get("temporal_patch_size", row.group) if (medium or row.hf) == "video" else 1
    if isinstance(patch, int) and merge:
        side = patch * merge
        most = settings.get("max_soft_tokens", 0) * side**2 or settings.get("scale_resolution", 0) ** 2
        return FrameFormat(side, None, group, row.most, most or None, row.fills)
    return FrameFormat(None, _fixed_size(settings), group, row.most)


def frame_tokens(checkpoint: Mapping[str, Any], medium: Medium | None = None) -> int | None:
    """Vision tokens of one frame of a model with one fixed frame size; None where the files do not say. `medium` as in
    `frame_format`."""
    row, settings = family(checkpoint), processor_settings(checkpoint)
    size, patch = frame_format(checkpoint).fixed, settings.get("patch_size")
    if row.frame is not None or size is None or not isinstance(patch, int):
        return row.frame
    if told := next(_numbers(settings, _LENGTHS), None):
        return told
    tiled = row.tiles > 1 and (medium or row.hf) == "images"
    height, width = (-(-(side // patch) // (1 if tiled else row.pool)) for side in size)
    if (medium or row.hf) == "video":
        return height * width + row.extra
    return row.tiles * height * width + height * tiled


def image_merge(checkpoint: Mapping[str, Any]) -> int | None:
    """Pixels along a side of one token of a still image, where they are not those of a video."""
    folder = Path(checkpoint["path"])
    image = read_json(folder / "processor_config.json").get("image_processor") or {}
    patch, merge = image.get("patch_size"), next(_numbers(image, _MERGES), None)
    return patch * merge if isinstance(patch, int) and merge and family(checkpoint).merge is None else None


def processor_settings(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What configuration and processor say about frames, in one place; the video processor's word counts most."""
    folder = Path(checkpoint["path"])
    config = read_json(folder / "config.json")
    vision = config.get("vision_config") or (config.get("thinker_config") or {}).get("vision_config") or {}
    processor = read_json(folder / "processor_config.json")
    merged = vision | processor
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        merged |= read_json(folder / name)
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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where it is not there or does not read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
