"""How frames travel to a server: one video with its clock, or images with the time written before each.

Example:
    body(request, format_="jpeg", as_video=False)["messages"][0]["content"][0]
    # {'type': 'text', 'text': '<0.0 seconds>'}
"""

from __future__ import annotations

import base64
from typing import Any

import cv2

from viubench.engines import prompts
from viubench.engines.base import Request
from viubench.errors import EngineError
from viubench.video import timestamps
from viubench.video.frames import Pixels

FORMATS = {"jpeg": "jpeg-q95", "png": "png"}


def body(request: Request, *, format_: str, as_video: bool) -> dict[str, Any]:
    """The `messages` of a chat completion; as video (of one `shared_clock`) also what makes a vLLM server leave frames
    and times alone. EngineError for frames that do not encode."""
    content: list[dict[str, Any]] = []
    numbered = iter(zip(request.videos, request.media_ids, strict=True))
    stills = prompts.still_places(request.videos)
    for part in prompts.parts(request.sample.question, len(request.videos), stills=stills):
        if part["type"] == "text":
            content.append(dict(part))
            continue
        video, name = next(numbered)
        if video.still:
            content.append(_image_part(video.pixels[0], format_))
        elif as_video:
            # The media type says jpeg for PNG frames too: it means "a list of pictures", each opened by what it holds.
            url = "data:video/jpeg;base64," + ",".join(_encode(frame, format_) for frame in video.pixels)
            content.append({"type": "video_url", "video_url": {"url": url}, "uuid": f"{name}-{format_}"})
        else:
            for frame, time in zip(video.pixels, video.times, strict=True):
                content += [{"type": "text", "text": f"<{time:.1f} seconds>"}, _image_part(frame, format_)]
    sent: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
    if as_video:
        kept = {name: value for name, value in (shared_clock(request) or {}).items() if name != "video_backend"}
        sent["media_io_kwargs"] = {"video": {"num_frames": -1, **kept}}
        sent["mm_processor_kwargs"] = {"do_sample_frames": False, "do_resize": False}
    return sent


def shared_clock(request: Request) -> dict[str, Any] | None:
    """Metadata that gives every video of a request (at least one) its times as the model reads them, or None.

    A server takes one set of metadata for all videos of a request. Clips whose written timestamps agree (to 0.1 s, as
    Qwen3-VL writes them) can share it; others cannot be sent as videos.
    """
    metas = [timestamps.metadata(video) for video in prompts.moving(request.videos)]
    first, *others = [(timestamps.stamps(meta), len(meta["frames_indices"])) for meta in metas]
    return metas[0] if all(other == first for other in others) else None


def _image_part(frame: Pixels, format_: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/{format_};base64,{_encode(frame, format_)}"}}


def _encode(frame: Pixels, format_: str) -> str:
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if format_ == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(".jpg" if format_ == "jpeg" else ".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise EngineError(f"a frame of {frame.shape} does not encode as {format_}")
    return base64.b64encode(data.tobytes()).decode()
