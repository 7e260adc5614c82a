"""What H.264 says at the beginning of a picture: its number, and whether the count begins anew behind it.

Example:
    heads = SliceHeads()
    heads.learn(sequence_set), heads.learn(picture_set)
    heads.read(unit)
    # SliceHead(number=3, modulus=16, idr=False, reference=True, resets=False)

Sections are those of ISO/IEC 14496-10.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

IDR, SPS, PPS = 5, 7, 8
"""Kinds of NAL units (table 7-1)."""

WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}
"""profile_idc of those sequence parameter sets that say more of chroma and scaling (7.3.2.1.1)."""

HEAD_BYTES = 512
"""Of a slice, enough for its head."""

LISTS = {0: 1, 1: 2, 3: 1}
"""Kinds of slices that refer to other pictures, by how many lists of them: P, B and SP (table 7-6)."""

B = 1


@dataclass(frozen=True)
class SliceHead:
    """A slice's number modulo `modulus`, whether its picture is an IDR or one that others refer to, and whether
    pictures behind it are numbered as if it had been 0 (memory_management_control_operation 5)."""

    number: int
    modulus: int
    idr: bool
    reference: bool
    resets: bool


@dataclass(frozen=True)
class _Sequence:
    chroma: bool
    planes: bool
    bits: int
    order: int
    order_bits: int
    deltas: bool
    gaps: bool
    frames_only: bool


@dataclass(frozen=True)
class _Picture:
    sequence: int
    field_order: bool
    references: tuple[int, int]
    weights: tuple[bool, bool]
    redundant: bool


class SliceHeads:
    """Reads the slices of one stream after its parameter sets."""

    def __init__(self) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._pictures: dict[int, _Picture | None] = {}

    def learn(self, unit: bytes) -> None:
        """Keep what a parameter set says; other units, and those cut short, are passed over."""
        with suppress(IndexError):
            bits = _Bits(unit)
            if unit[0] & 31 == SPS:
                number, sequence = _sequence(bits)
                self._sequences[number] = sequence
            elif unit[0] & 31 == PPS:
                number, picture = _picture(bits)
                self._pictures[number] = picture

    def read(self, unit: bytes) -> SliceHead | None:
        """The head of a slice; None where its parameter sets are unknown, the number has gaps on purpose, or the unit
        is cut short: a damaged head, which the decoder tells."""
        idr, reference = unit[0] & 31 == IDR, bool(unit[0] >> 5 & 3)
        bits = _Bits(unit[:HEAD_BYTES])
        try:
            bits.ue()
            kind, picture = bits.ue() % 5, self._pictures.get(bits.ue())
            sequence = self._sequences.get(picture.sequence) if picture else None
            if picture is None or sequence is None or sequence.gaps:
                return None
            bits.take(2 if sequence.planes else 0)
            number = bits.take(sequence.bits)
            resets = reference and not idr and _resets(bits, kind, sequence, picture)
        except IndexError:
            return None
        return SliceHead(number, 1 << sequence.bits, idr, reference, resets)


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

    def flag(self) -> bool:
        return bool(self.take(1))

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


def _sequence(bits: _Bits) -> tuple[int, _Sequence]:
    """A sequence parameter set and its number (7.3.2.1.1)."""
    profile = bits.take(24) >> 16
    number, chroma, planes = bits.ue(), 1, False
    if profile in WITH_CHROMA:
        chroma = bits.ue()
        planes = chroma == 3 and bits.flag()
        bits.ue(), bits.ue(), bits.flag()
        if bits.flag():
            for scaling in range(12 if chroma == 3 else 8):
                if bits.flag():
                    _skip_scaling(bits, 16 if scaling < 6 else 64)
    width, order, order_bits, deltas = bits.ue() + 4, bits.ue(), 0, False
    if order == 0:
        order_bits = bits.ue() + 4
    elif order == 1:
        deltas = not bits.flag()
        bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue()
    gaps = bits.flag()
    bits.ue(), bits.ue()
    frames_only = bits.flag()
    return number, _Sequence(bool(chroma) and not planes, planes, width, order, order_bits, deltas, gaps, frames_only)


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _picture(bits: _Bits) -> tuple[int, _Picture | None]:
    """A picture parameter set and its number (7.3.2.2); None for one with slice groups, which hardly any stream has."""
    number, sequence = bits.ue(), bits.ue()
    bits.flag()
    field_order = bits.flag()
    if bits.ue():
        return number, None
    references = bits.ue() + 1, bits.ue() + 1
    weights = bits.flag(), bits.take(2) == 1
    bits.se(), bits.se(), bits.se(), bits.take(2)
    return number, _Picture(sequence, field_order, references, weights, bits.flag())


def _resets(bits: _Bits, kind: int, sequence: _Sequence, picture: _Picture) -> bool:
    """Whether the rest of the head (7.3.3) ends with a memory_management_control_operation 5 (7.3.3.3)."""
    field = not sequence.frames_only and bits.flag()
    if field:
        bits.flag()
    twice = picture.field_order and not field
    if sequence.order == 0:
        bits.take(sequence.order_bits)
        if twice:
            bits.se()
    elif sequence.order == 1 and sequence.deltas:
        bits.se()
        if twice:
            bits.se()
    if picture.redundant:
        bits.ue()
    lists = LISTS.get(kind, 0)
    if kind == B:
        bits.flag()
    counts = picture.references
    if lists and bits.flag():
        counts = bits.ue() + 1, bits.ue() + 1 if lists == 2 else 0
    for _ in range(lists):
        if bits.flag():
            while bits.ue() != 3:
                bits.ue()
    if lists and picture.weights[lists - 1]:
        _skip_weights(bits, counts[:lists], sequence.chroma)
    if not bits.flag():
        return False
    while operation := bits.ue():
        if operation == 5:
            return True
        for _ in range(2 if operation == 3 else 1):
            bits.ue()
    return False


def _skip_weights(bits: _Bits, counts: tuple[int, ...], chroma: bool) -> None:
    """The table of prediction weights (7.3.3.2)."""
    bits.ue()
    if chroma:
        bits.ue()
    for count in counts:
        for _ in range(count):
            for values in (2, 4) if chroma else (2,):
                if bits.flag():
                    for _ in range(values):
                        bits.se()
