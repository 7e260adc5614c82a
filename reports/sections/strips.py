"""The filmstrips a page carries: each once, as large as all of them together may be.

Example:
    strips = Strips()
    strips.place(strip_of(run, "a1b2"))
    # 0
    strips.addresses()[0][:23]
    # 'data:image/jpeg;base64,'
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from viubench.video.filmstrip import strip_path

STRIP_BUDGET = 8_000_000
"""Characters of all strips together; where they take more they are made smaller, and the last ones left out."""

MOST_BYTES = 1_000_000
"""A strip above this is left out: ours take 50 to 250 kB."""

LEAST_HEIGHT = 72
"""Pixels below which no strip is made smaller."""

_JPEG = b"\xff\xd8\xff"
_QUALITY = 60
_WIDEST = 16_383
"""Pixels of a WebP."""


def strip_of(run: Path, record_id: str) -> bytes | None:
    """The strip of a record; None when there is none, or it is no small JPEG inside the run."""
    path = strip_path(run, record_id)
    if not path.is_file() or not path.resolve().is_relative_to(run.resolve()) or path.stat().st_size > MOST_BYTES:
        return None
    data = path.read_bytes()
    return data if data.startswith(_JPEG) else None


class Strips:
    """The strips of a page, in the order of its samples."""

    def __init__(self) -> None:
        self._kept: dict[bytes, int] = {}

    def place(self, strip: bytes | None) -> int | None:
        """Where in `addresses` a strip stands, now or already; None for none."""
        return None if strip is None else self._kept.setdefault(strip, len(self._kept))

    def addresses(self) -> list[str | None]:
        """The strips as `data:` addresses, as they are where all have room, else smaller; None for one without room."""
        strips = list(self._kept)
        addresses = [_address(strip, "jpeg") for strip in strips]
        spent = sum(map(len, addresses))
        if spent > STRIP_BUDGET:
            with ThreadPoolExecutor() as pool:
                addresses = list(pool.map(lambda strip: _smaller(strip, STRIP_BUDGET / spent), strips))
        return _within(addresses)


def left_out(addresses: Sequence[str | None]) -> int:
    """How many of them have no room."""
    return sum(address is None for address in addresses)


def _within(addresses: Sequence[str]) -> list[str | None]:
    kept: list[str | None] = []
    spent = 0
    for address in addresses:
        fits = spent + len(address) <= STRIP_BUDGET
        spent += len(address) if fits else 0
        kept.append(address if fits else None)
    return kept


def _smaller(strip: bytes, share: float) -> str:
    """The strip in about this `share` of its bytes. A WebP takes some 0.6 of a JPEG's, and bytes fall with the 1.5th
    power of the height; what does not decode stays as it is."""
    pixels = cv2.imdecode(np.frombuffer(strip, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return _address(strip, "jpeg")
    height, width = pixels.shape[:2]
    factor = min(1.0, (0.9 * share / 0.6) ** (1 / 1.5), _WIDEST / width)
    factor = max(factor, min(1.0, LEAST_HEIGHT / height, _WIDEST / width))
    if factor < 1:
        size = max(1, int(width * factor)), max(1, int(height * factor))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    return _address(data.tobytes(), "webp") if done else _address(strip, "jpeg")


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
