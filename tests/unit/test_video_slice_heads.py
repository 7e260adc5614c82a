"""The heads of H.264 slices, against heads written here field by field (ISO/IEC 14496-10, 7.3)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from viubench.video.slice_heads import LISTS, B, SliceHead, SliceHeads

Fields = list[tuple[str, int]]
"""A syntax: how many bits ("4") or which code ("ue", "se"), and the value."""


def unit(kind: int, fields: Fields) -> bytes:
    """The NAL unit whose head is the byte `kind`, with stop bit and emulation prevention."""
    text = ""
    for form, value in fields:
        if form.isdigit():
            text += f"{value:0{form}b}"
        else:
            code = value if form == "ue" else 2 * value - 1 if value > 0 else -2 * value
            number = f"{code + 1:b}"
            text += "0" * (len(number) - 1) + number
    text += "1"
    text += "0" * (-len(text) % 8)
    payload = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    found = bytearray()
    for byte in payload:
        if found.endswith(b"\0\0") and byte <= 3:
            found.append(3)
        found.append(byte)
    return bytes([kind]) + bytes(found)


flags = some.integers(0, 1)
small = some.integers(0, 5)


@some.composite
def streams(draw: Any) -> tuple[bytes, bytes, bytes, SliceHead | None]:
    """A sequence set, a picture set, a slice of a reference picture, and what its head says."""
    high, frames_only, order, bits = draw(flags), draw(flags), draw(some.integers(0, 2)), draw(some.integers(4, 16))
    gaps, deltas, field_order, redundant = draw(flags), draw(flags), draw(flags), draw(flags)
    chroma = draw(some.integers(0, 3)) if high else 1
    planes = draw(flags) if chroma == 3 else 0
    sequence: Fields = [("8", 100 if high else 66), ("16", 30), ("ue", 2)]
    if high:
        sequence += [
            ("ue", chroma),
            *([("1", planes)] if chroma == 3 else []),
            ("ue", 0),
            ("ue", 0),
            ("1", 0),
            ("1", 0),
        ]
    sequence += [("ue", bits - 4), ("ue", order)]
    if order == 0:
        sequence += [("ue", 2)]
    elif order == 1:
        sequence += [("1", 1 - deltas), ("se", -3), ("se", 2), ("ue", 2), ("se", 1), ("se", -1)]
    sequence += [("ue", 4), ("1", gaps), ("ue", 19), ("ue", 11), ("1", frames_only)]
    weighted, bipred, counts = draw(flags), draw(some.integers(0, 2)), (draw(small) + 1, draw(small) + 1)
    picture: Fields = [("ue", 7), ("ue", 2), ("1", 1), ("1", field_order), ("ue", 0)]
    picture += [("ue", counts[0] - 1), ("ue", counts[1] - 1), ("1", weighted), ("2", bipred)]
    picture += [("se", -4), ("se", 0), ("se", 1), ("1", 1), ("1", 0), ("1", redundant)]

    kind, number = draw(some.integers(0, 3)), draw(some.integers(0, 2**bits - 1))
    head: Fields = [("ue", 0), ("ue", kind + 5 * draw(flags)), ("ue", 7), *([("2", 1)] if planes else [])]
    head += [(str(bits), number)]
    field = 0 if frames_only else draw(flags)
    head += [] if frames_only else [("1", field), *([("1", 1)] if field else [])]
    twice = [("se", -1)] if field_order and not field else []
    head += [("6", 40), *twice] if order == 0 else [("se", 3), *twice] if order == 1 and deltas else []
    head += [("ue", 0)] if redundant else []
    lists = LISTS.get(kind, 0)
    head += [("1", 1)] if kind == B else []
    if lists:
        override = draw(flags)
        counts = (draw(small) + 1, draw(small) + 1) if override else counts
        head += [("1", override), *([("ue", count - 1) for count in counts[:lists]] if override else [])]
    for _ in range(lists):
        moves = draw(some.lists(some.integers(0, 2), max_size=3))
        head += [("1", bool(moves)), *[pair for move in moves for pair in (("ue", move), ("ue", 4))]]
        head += [("ue", 3)] if moves else []
    if (kind in (0, 3) and weighted) or (kind == B and bipred == 1):
        coloured = chroma and not planes
        head += [("ue", 5), *([("ue", 4)] if coloured else [])]
        for count in counts[:lists]:
            for _ in range(count):
                for values in (2, 4) if coloured else (2,):
                    given_ = draw(flags)
                    head += [("1", given_), *([("se", -9)] * values if given_ else [])]
    operations = draw(some.lists(some.sampled_from([1, 2, 3, 4, 6, 5]), max_size=3))
    head += [("1", bool(operations))]
    for operation in operations:
        head += [("ue", operation), *([("ue", 0)] * {5: 0, 3: 2}.get(operation, 1))]
    head += [("ue", 0)] if operations else []
    head += [("8", 255)] * 4
    said = None if gaps else SliceHead(number, 1 << bits, False, True, 5 in operations)
    return unit(0x67, sequence), unit(0x68, picture), unit(0x41, head), said


@settings(max_examples=500)
@given(streams())
def test_a_head_is_read_as_written(stream: tuple[bytes, bytes, bytes, SliceHead | None]) -> None:
    sequence, picture, head, said = stream
    heads = SliceHeads()
    assert heads.read(head) is None, "no parameter sets yet"
    heads.learn(sequence)
    heads.learn(picture)
    assert heads.read(head) == said
