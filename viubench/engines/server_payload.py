"""How frames travel to a server: one video with its clock, or images with the time written before each, or the file.

Example:
    messages(request, format_="jpeg", as_video=False)[0]["content"][0]
    # {'type': 'text', 'text': '<0.0 seconds>'}
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2

from viubench.engines import prompts
from viubench.engines.base import Request
from viubench.errors import EngineError
from viubench.video import timestamps
from viubench.video.frames import Pixels

Message = dict[str, Any]


def messages(request: Request, *, format_: str, as_video: bool, file_as: str = "path") -> list[Message]:
    """The messages of a chat completion; EngineError for frames that do not encode, or a file that cannot be read."""
    content: list[dict[str, Any]] = []
    numbered = iter(zip(request.videos, request.media_ids, strict=True))
    stills = prompts.still_places(request.videos)
    videos = 1 if request.file is not None else len(request.videos)
    for part in prompts.parts(request.sample.question, videos, stills=stills):
        if part["type"] == "text":
            content.append(dict(part))
            continue
        if request.file is not None:
            content.append(_video_part(file_url(request.file, file_as)))
            continue
        video, name = next(numbered)
        if video.still:
            content.append(_image_part(video.pixels[0], format_))
        elif as_video:
            # The media type says jpeg for PNG frames too: it means "a list of pictures", each opened by what it holds.
            url = "data:video/jpeg;base64," + ",".join(encoded(frame, format_) for frame in video.pixels)
            content.append(_video_part(url) | {"uuid": f"{name}-{format_}"})
        else:
            for frame, time in zip(video.pixels, video.times, strict=True):
                content += [{"type": "text", "text": f"<{time:.1f} seconds>"}, _image_part(frame, format_)]
    system: list[Message] = [{"role": "system", "content": request.chat.system}] if request.chat.system else []
    return [*system, {"role": "user", "content": content}]


def as_shown(request: Request) -> dict[str, Any]:
    """What makes a vLLM server leave the frames and times of videos (of one `shared_clock`) as they are."""
    kept = {name: value for name, value in (shared_clock(request) or {}).items() if name != "video_backend"}
    return {
        "media_io_kwargs": {"video": {"num_frames": -1, **kept}},
        "mm_processor_kwargs": {"do_sample_frames": False, "do_resize": False},
    }


def shared_clock(request: Request) -> dict[str, Any] | None:
    """Metadata that gives every video of a request (at least one) its times as the model reads them, or None.

    A server takes one set of metadata for all videos of a request. Clips whose written timestamps agree (to 0.1 s, as
    Qwen3-VL writes them) can share it; others cannot be sent as videos.
    """
    metas = [timestamps.metadata(video) for video in prompts.moving(request.videos)]
    first, *others = [(timestamps.stamps(meta), len(meta["frames_indices"])) for meta in metas]
    return metas[0] if all(other == first for other in others) else None


def media_parts(sent: Sequence[Message]) -> int:
    """How many pictures and videos messages hold."""
    return sum(part["type"] != "text" for message in sent for part in _parts(message))


def with_media(sent: Sequence[Message], most: int) -> list[Message]:
    """The messages with their first `most` pictures and videos alone; all text stays."""
    left = most
    result = []
    for message in sent:
        kept = []
        for part in _parts(message):
            left -= part["type"] != "text"
            if part["type"] == "text" or left >= 0:
                kept.append(part)
        result.append(message | ({"content": kept} if kept else {}))
    return result


def file_url(file: str, file_as: str) -> str:
    """A video file as a URL: itself where it is one, else its path or its bytes; EngineError where it does not read."""
    if file.startswith(("http://", "https://")):
        return file
    if file_as == "path":
        return "file://" + quote(file)
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise EngineError(f"{file} cannot be read: {error.strerror}") from error
    kind = mimetypes.guess_type(file)[0] or "video/mp4"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def encoded(frame: Pixels, format_: str) -> str:
    """A frame [H, W, 3] as a picture in base64."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if format_ == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(".jpg" if format_ == "jpeg" else ".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise EngineError(f"a frame of {frame.shape} does not encode as {format_}")
    return base64.b64encode(data.tobytes()).decode()


def _parts(message: Message) -> list[dict[str, Any]]:
    return message["content"] if isinstance(message["content"], list) else []


def _image_part(frame: Pixels, format_: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/{format_};base64,{encoded(frame, format_)}"}}


def _video_part(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}
