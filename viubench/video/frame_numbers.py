"""Whether pictures are missing from an H.264 stream: its reference pictures are numbered, and decoders do not tell.

Example:
    numbers = FrameNumbers(header)
    [numbers.gap(bytes(packet)) for packet in packets]
    # [False, False, True, False]: something was left out before the third

A missing picture changes all that refer to it; FFmpeg puts a copy of the one before in its place and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from viubench.video.keyframes import units
from viubench.video.slice_heads import IDR, SliceHeads

PLAIN = 1
"""The kind of a NAL unit that holds a slice of an ordinary picture."""

_START_CODE = re.compile(b"\0\0\1")


class FrameNumbers:
    """Follows the numbers of one stream; `header` is its extradata."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._prefixed = len(header) > 4 and header[0] == 1  # lengths before the units, else start codes
        self._heads = SliceHeads()
        self._before: int | None = None
        for unit in _sets_of(header) if self._prefixed else _split(header):
            self._heads.learn(unit)

    def flush(self) -> None:
        """Forget the number of the last picture, after a seek."""
        self._before = None

    def gap(self, packet: bytes) -> bool:
        """Whether reference pictures are missing before this packet (frame_num, 7.4.3). A stream that does not say how
        it counts has no gaps."""
        found = [bytes(unit) for unit in (units(self._header, 4, packet) if self._prefixed else _split(packet))]
        for unit in found:
            self._heads.learn(unit)
        first = next((unit for unit in found if unit[0] & 31 in (PLAIN, IDR)), None)
        head = self._heads.read(first) if first else None
        known = self._before
        if head is None:
            self._before = None
            return False
        if head.reference:
            self._before = 0 if head.resets else head.number
        return known is not None and not head.idr and head.number not in (known, (known + 1) % head.modulus)


def _sets_of(header: bytes) -> Iterator[bytes]:
    """The parameter sets of an avcC record (ISO/IEC 14496-15, 5.3.3.1.2): those of sequences, then of pictures."""
    at = 5
    for mask in (31, 255):
        count, at = header[at] & mask if at < len(header) else 0, at + 1
        for _ in range(count):
            length = int.from_bytes(header[at : at + 2], "big")
            if unit := header[at + 2 : at + 2 + length]:
                yield unit
            at += 2 + length


def _split(data: bytes) -> Iterator[bytes]:
    """The units between start codes (annex B)."""
    places = [match.end() for match in _START_CODE.finditer(data)]
    for start, end in pairwise([*places, len(data) + 3]):
        if start < end - 3:
            yield data[start : end - 3]
