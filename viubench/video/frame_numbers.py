"""Whether pictures are missing from an H.264 stream: its reference pictures are numbered, and decoders do not tell.

Example:
    numbers = FrameNumbers(header)
    [numbers.gap(bytes(packet)) for packet in packets]
    # [False, False, True, False]: something was left out before the third

A missing picture changes all that refer to it; FFmpeg puts a copy of the one before in its place and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from viubench.video.keyframes import units

PLAIN, IDR, SPS = 1, 5, 7
"""Kinds of NAL units (ISO/IEC 14496-10, table 7-1)."""

WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}
"""profile_idc of those sequence parameter sets that say more of chroma and scaling (7.3.2.1.1)."""

SLICE_BYTES = 32
"""Of a slice, enough for the numbers at its beginning."""

_START_CODE = re.compile(b"\0\0\1")


@dataclass(frozen=True)
class Numbering:
    """How a sequence numbers its pictures: modulo 2^`bits`, perhaps with `gaps` on purpose, or for `planes` apart."""

    bits: int
    gaps: bool
    planes: bool


class FrameNumbers:
    """Follows the numbers of one stream; `header` is its extradata."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._prefixed = len(header) > 4 and header[0] == 1  # lengths before the units, else start codes
        self._sets: set[Numbering] = set()
        self._before: int | None = None
        self._read_sets(_sets_of(header) if self._prefixed else _split(header))

    def flush(self) -> None:
        """Forget the number of the last picture, after a seek."""
        self._before = None

    def gap(self, packet: bytes) -> bool:
        """Whether reference pictures are missing before this packet (frame_num, 7.4.3). A stream that does not say how
        it counts, or counts in more than one way, has no gaps; a count that begins anew is none either."""
        found = [bytes(unit) for unit in (units(self._header, 4, packet) if self._prefixed else _split(packet))]
        self._read_sets(found)
        first = next((unit for unit in found if unit[0] & 31 in (PLAIN, IDR)), None)
        if first is None or len(self._sets) != 1:
            return False
        (numbering,) = self._sets
        if numbering.gaps:
            return False
        try:
            number = _frame_num(first, numbering)
        except IndexError:  # a damaged head, which the decoder tells
            return False
        known, expected = self._before, {0, 1}
        if known is not None:
            expected |= {known, (known + 1) % (1 << numbering.bits)}
        if first[0] >> 5 & 3:
            self._before = number
        return known is not None and number not in expected

    def _read_sets(self, found: Iterable[bytes]) -> None:
        for unit in found:
            with suppress(IndexError):
                if unit[0] & 31 == SPS:
                    self._sets.add(_numbering(unit))


class _Bits:
    """Reads a unit's payload bit by bit; IndexError behind its end."""

    def __init__(self, unit: bytes) -> None:
        self.data = unit.replace(b"\0\0\3", b"\0\0")
        self.at = 8  # behind the unit's own head

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.data[self.at >> 3] >> (7 - (self.at & 7)) & 1
            self.at += 1
        return value

    def ue(self) -> int:
        """An Exp-Golomb code (9.1); IndexError for one of more than 32 bits."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise IndexError
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def _numbering(unit: bytes) -> Numbering:
    """What a sequence parameter set says (7.3.2.1.1)."""
    bits = _Bits(unit)
    profile = bits.take(24) >> 16
    bits.ue()
    planes = False
    if profile in WITH_CHROMA:
        chroma = bits.ue()
        planes = chroma == 3 and bool(bits.take(1))
        bits.ue(), bits.ue(), bits.take(1)
        if bits.take(1):
            for number in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _skip_scaling(bits, 16 if number < 6 else 64)
    width = bits.ue() + 4
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1), bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue()
    return Numbering(width, bool(bits.take(1)), planes)


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _frame_num(unit: bytes, numbering: Numbering) -> int:
    """The number at the beginning of a slice (7.3.3)."""
    bits = _Bits(bytes(unit[:SLICE_BYTES]))
    bits.ue(), bits.ue(), bits.ue()
    bits.take(2 if numbering.planes else 0)
    return bits.take(numbering.bits)


def _sets_of(header: bytes) -> Iterator[bytes]:
    """The sequence parameter sets of an avcC record (ISO/IEC 14496-15, 5.3.3.1.2)."""
    at = 6
    for _ in range(header[5] & 31 if len(header) > 5 else 0):
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
