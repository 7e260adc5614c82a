"""How frames travel to a server: one video with its clock, or images with the time written before each, or the file.

Example:
    messages(request, format_="jpeg", showing=Showing("images"))[0]["content"][0]
    # {'type': 'text', 'text': '<0.0 seconds>'}
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2

from viubench.engines import prompts
from viubench.engines.base import Request
from viubench.engines.families import FAMILIES, Family
from viubench.engines.prompts import Showing
from viubench.errors import EngineError
from viubench.video import timestamps
from viubench.video.frames import Pixels, VideoInput

Message = dict[str, Any]

UNKNOWN = FAMILIES["qwen3_vl"]
"""How a model of unknown family is taken to read times."""


def messages(request: Request, *, format_: str, showing: Showing, file_as: str = "path") -> list[Message]:
    """The messages of a chat completion; EngineError for frames that do not encode, or a file that cannot be read."""
    content: list[dict[str, Any]] = []
    inserts, media = showing.parts(request.videos), _media(request, format_, whole=showing.medium == "video")
    if request.file is not None:
        inserts, media = [[{"type": "video"}]], iter([_video_part(file_url(request.file, file_as))])
    for part in prompts.parts(request.sample.question, len(inserts), inserts=inserts):
        content.append(dict(part) if part["type"] == "text" else next(media))
    system: list[Message] = [{"role": "system", "content": request.chat.system}] if request.chat.system else []
    return [*system, {"role": "user", "content": content}]


def as_shown(request: Request, family: Family | None = None) -> dict[str, Any]:
    """What makes a vLLM server leave the frames and times of videos (of one `shared_clock`) as they are."""
    kept = {name: value for name, value in (shared_clock(request, family) or {}).items() if name != "video_backend"}
    own: dict[str, Any] = {"do_sample_frames": False, "do_resize": False}
    if family is not None and family.rate:
        own["fps"] = 1 / timestamps.spacing(prompts.moving(request.videos)[0])
    return {"media_io_kwargs": {"video": {"num_frames": -1, **kept}}, "mm_processor_kwargs": own}


def shared_clock(request: Request, family: Family | None = None, group: int = 2) -> dict[str, Any] | None:
    """Metadata that gives every video of a request (at least one) its times as the model reads them, or None.

    A server takes one set of metadata for all videos of a request. Clips whose times read the same can share it; others
    cannot be sent as videos. `family` is the model's, None where it is not known: read as Qwen3-VL then.
    """
    family = family or UNKNOWN
    videos = prompts.moving(request.videos)
    first, *others = [(_read(video, family, group), len(video)) for video in videos]
    same = all(other == first for other in others)
    return timestamps.metadata(videos[0], ticks=family.ticks) if same else None


def due_times(request: Request, family: Family, group: int) -> list[str]:
    """The times that the prompt must hold for the videos of a request, as the family's processor writes them."""
    if family.stamp is None:
        return []
    read = [timestamps.told(video, family.ticks) for video in prompts.moving(request.videos)]
    return [text for times in read for text in family.stamp.texts(times, group)]


def _read(video: VideoInput, family: Family, group: int) -> Any:
    """What of a video's times reaches the model by its clock."""
    if family.stamp is not None:
        return family.stamp.texts(timestamps.told(video, family.ticks), group)
    return round(timestamps.spacing(video), 3) if family.positions else None


def _media(request: Request, format_: str, *, whole: bool) -> Iterator[dict[str, Any]]:
    for video, name in zip(request.videos, request.media_ids, strict=True):
        if whole and not video.still:
            # The media type says jpeg for PNG frames too: it means "a list of pictures", each opened by what it holds.
            url = "data:video/jpeg;base64," + ",".join(encoded(frame, format_) for frame in video.pixels)
            yield _video_part(url) | {"uuid": f"{name}-{format_}"}
        else:
            yield from (_image_part(frame, format_) for frame in video.pixels)


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


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image_part(frame: Pixels, format_: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/{format_};base64,{encoded(frame, format_)}"}}


def _video_part(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}
