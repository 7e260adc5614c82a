"""One question with its videos as the tensors that a checkpoint's forward takes, by the checkpoint's own processor.

Example:
    packed = pack(processor, sample, videos)
    packed.inputs["input_ids"].shape  # (1, prompt tokens)

The frames are shown as they are, never resampled or resized, each video with its own clock; token ids are those of
`viubench.engines.hf` for the same question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viubench.engines import prompts
from viubench.engines.base import allow_read_only_frames
from viubench.engines.hf import encode
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.video.frames import VideoInput

if TYPE_CHECKING:
    from torch import Tensor

PIXELS = ("pixel_values_videos", "pixel_values")
"""Patches of videos and of still pictures: float [patches, values of a patch]."""


@dataclass
class Packed:
    """A prompt for the model's forward, batch of 1.

    Attributes:
        sample: the question.
        inputs: `input_ids`, `attention_mask` and `mm_token_type_ids` int64 [1, P] (types: 0 text, 1 image, 2 video),
            `pixel_values_videos` float [patches, values], `video_grid_thw` int64 [videos, 3], and what else the
            processor gives.
        seen: what a frozen vision tower made of the pixels, kept so that they are encoded once; None until then.
    """

    sample: Sample
    inputs: dict[str, Tensor]
    seen: dict[str, Any] | None = None


def open_processor(path: Path) -> Any:
    """The checkpoint's processor.

    Raises:
        ViubenchError: it does not open, takes no videos, or its chat template is missing or leaves videos out.
    """
    from transformers import AutoProcessor

    allow_read_only_frames()
    try:
        processor = AutoProcessor.from_pretrained(path)
    except Exception as error:  # whatever the loaders raise, the user needs the reason, not the trace
        reason = " ".join(str(error).split())[:400]
        raise ViubenchError(f"the processor does not open: {reason}", where=str(path)) from error
    token = getattr(processor, "video_token", None)
    if getattr(processor, "video_processor", None) is None or not token:
        raise ViubenchError("the model takes no videos", where=str(path), hint="train a Qwen3-VL or Qwen2.5-VL")
    try:
        text = prompts.render(processor, "?", videos=1)
    except ViubenchError as error:
        raise ViubenchError(error.message, where=str(path), hint=error.hint) from error
    if token not in text:
        raise ViubenchError(
            f"the chat template writes no {token} for a video",
            where=str(path),
            hint="copy chat_template.jinja of the model it was made from",
        )
    return processor


def pack(processor: Any, sample: Sample, videos: Sequence[VideoInput]) -> Packed:
    """Model inputs of one question on the CPU; frame sides must be multiples of patch size x merge.

    Raises:
        EngineError: the processor does not take the frames, or the question marks fewer videos than came with it.
    """
    return Packed(sample, dict(encode(processor, sample.question, videos)))


def swapped(packed: Packed, other: Packed) -> Packed:
    """`packed` with the pixels of `other` and all else its own; patches are repeated or left out where sizes differ.

    Raises:
        ViubenchError: the two have no kind of picture (video, still) that both show.
    """
    import torch

    inputs = dict(packed.inputs)
    both = [name for name in PIXELS if name in inputs and name in other.inputs]
    if not both:
        raise ViubenchError("no video to swap", where=packed.sample.id, hint="give two questions about videos")
    for name in both:
        mine, theirs = inputs[name], other.inputs[name]
        inputs[name] = theirs[torch.arange(len(mine), device=theirs.device) % len(theirs)]
    return Packed(packed.sample, inputs)
