"""A question in vLLM's own form: the text, the frames with their clocks, the pictures, and an id of each.

Example:
    as_prompt(processor, "<video>\\nHow many circles?", [video], ["cafe"])["multi_modal_uuids"]
    # {'video': ['cafe']}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viubench.engines import prompts
from viubench.video import timestamps
from viubench.video.frames import VideoInput

FRAMES_AS_THEY_ARE = {"do_sample_frames": False, "do_resize": False}
AS_WRITTEN = {"add_special_tokens": False}
"""How a prompt is tokenised: the chat template has written its special tokens."""


def as_prompt(processor: Any, question: str, videos: Sequence[VideoInput], media_ids: Sequence[str]) -> dict[str, Any]:
    """The prompt of a question; `media_ids` name its videos in vLLM's caches."""
    text = prompts.render(processor, question, len(videos), prompts.still_places(videos))
    if not videos:
        return {"prompt": text}
    from PIL import Image

    data: dict[str, list[Any]] = {}
    names: dict[str, list[str]] = {}
    for video, name in zip(videos, media_ids, strict=True):
        shown = Image.fromarray(video.pixels[0]) if video.still else (video.pixels, timestamps.metadata(video))
        data.setdefault(kind(video), []).append(shown)
        names.setdefault(kind(video), []).append(name)
    media = {"multi_modal_data": data, "multi_modal_uuids": names, "mm_processor_kwargs": FRAMES_AS_THEY_ARE}
    return {"prompt": text, **media}


def kind(video: VideoInput) -> str:
    """vLLM's name of what a video is shown as."""
    return "image" if video.still else "video"
