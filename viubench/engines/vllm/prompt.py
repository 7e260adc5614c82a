"""A question in vLLM's own form: the text, the frames with their clocks, the pictures, and an id of each.

Example:
    as_prompt(processor, "<video>\\nHow many circles?", [video], ["cafe"])["multi_modal_uuids"]
    # {'video': ['cafe']}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from viubench.engines import prompts
from viubench.engines.families import FAMILIES, Family
from viubench.engines.prompts import Showing
from viubench.schema import Chat
from viubench.video import timestamps
from viubench.video.frames import VideoInput

AS_WRITTEN = {"add_special_tokens": False}
"""How a prompt is tokenised: the chat template has written its special tokens."""


def as_prompt(
    processor: Any,
    question: str,
    videos: Sequence[VideoInput],
    media_ids: Sequence[str],
    *,
    family: Family = FAMILIES["qwen3_vl"],
    showing: Showing | None = None,
    chat: Chat | None = None,
    takes: Collection[str] | None = None,
) -> dict[str, Any]:
    """The prompt of a question; `media_ids` name its videos in vLLM's caches, `takes` are the arguments that the
    processor takes, where that is known.

    Raises:
        ViubenchError: a chat template that does not fit. EngineError: fewer marks in the question than videos.
    """
    showing = showing or Showing.of(family, "vllm")
    text = prompts.render(processor, question, len(videos), chat=chat, inserts=showing.parts(videos))
    return with_media(text, videos, media_ids, family, showing, takes)


def with_media(
    text: str,
    videos: Sequence[VideoInput],
    media_ids: Sequence[str],
    family: Family,
    showing: Showing,
    takes: Collection[str] | None = None,
) -> dict[str, Any]:
    """As `as_prompt`, for a text that is already rendered; without `media_ids` vLLM names the videos itself."""
    if not videos:
        return {"prompt": text}
    data: dict[str, list[Any]] = {}
    names: dict[str, list[str]] = {}
    for place, video in enumerate(videos):
        name = media_ids[place] if media_ids else ""
        if video.still or showing.medium == "images":
            data.setdefault("image", []).extend(map(_picture, video.pixels))
            many = [name] if len(video) == 1 else [f"{name}-{number}" for number in range(len(video))]
            names.setdefault("image", []).extend(many)
        else:
            meta = timestamps.metadata(video, ticks=family.ticks)
            data.setdefault("video", []).append((video.pixels, meta))
            names.setdefault("video", []).append(name)
    prompt = {"prompt": text, "multi_modal_data": data, "mm_processor_kwargs": arguments(family, data, takes)}
    return prompt | ({"multi_modal_uuids": names} if media_ids else {})


def arguments(family: Family, kinds: Collection[str], takes: Collection[str] | None = None) -> dict[str, Any]:
    """What the processor is told, so that it leaves pictures and videos (`kinds`) as they are."""
    settled = family.start.get("mm_processor_kwargs", {})

    def taken(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in settled and (not takes or name in takes)}

    pictures = {"do_resize": "images" in family.resizes}
    if "video" not in kinds:
        return taken(pictures) | dict(family.images)  # by themselves: models that count tokens look nowhere else
    videos = {"do_resize": "video" in family.resizes, "do_sample_frames": False}
    if pictures["do_resize"] == videos["do_resize"] or "image" not in kinds:
        own, pictures, videos = taken(videos), {}, {}
    else:
        own = {}
    scopes = {"videos_kwargs": taken(videos) | dict(family.video)}
    if "image" in kinds:
        scopes["images_kwargs"] = taken(pictures) | dict(family.images)
    return own | {scope: values for scope, values in scopes.items() if values}


def _picture(pixels: Any) -> Any:
    from PIL import Image

    return Image.fromarray(pixels)
