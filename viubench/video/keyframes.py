"""Whether decoding may start at a key frame: what containers call a key frame is not always a clean entry.

Example:
    >>> is_clean_entry("vp9", b"", b"")
    True

A stream that refreshes its picture bit by bit (H.264 intra refresh, recovery points) marks packets as key frames that
need the frames before them; a reader that seeks there returns wrong pixels and no error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

H264_SLICES, H264_PLAIN_SLICE, H264_IDR = set(range(1, 6)), 1, 5
H264_ASIDES = (6, 9, 12)  # supplemental messages, access unit delimiters, filler
HEVC_SLICES, HEVC_IRAP = set(range(32)), set(range(16, 24))


def is_clean_entry(codec: str, header: bytes, packet: bytes) -> bool:
    """Whether every slice of a key packet may be decoded without anything before it.

    `codec` is FFmpeg's name, `header` the stream's extradata (an avcC or hvcC record, ISO/IEC 14496-15).
    """
    if codec == "h264":
        slices = {unit[0] & 31 for unit in units(header, 4, packet)} & H264_SLICES
        return slices == {H264_IDR}
    if codec == "hevc":
        slices = {unit[0] >> 1 & 63 for unit in units(header, 21, packet)} & HEVC_SLICES
        return bool(slices) and slices <= HEVC_IRAP
    return True


def is_disposable(codec: str, header: bytes, packet: Any) -> bool:
    """Whether a packet can be left out without changing a pixel of any other frame.

    So it is where nothing but slices of an H.264 picture that is never referred to (nal_ref_idc 0, ISO/IEC 14496-10,
    7.4.1) is in it, perhaps with messages about it. The arguments are those of `is_clean_entry`.
    """
    if codec != "h264":
        return False
    heads = [unit[0] for unit in units(header, 4, memoryview(packet))]
    slices = [head for head in heads if head & 31 == H264_PLAIN_SLICE]
    others = {head & 31 for head in heads} - {H264_PLAIN_SLICE, *H264_ASIDES}
    return bool(slices) and not others and all(head >> 5 & 3 == 0 for head in slices)


def is_hidden(packet: bytes) -> bool:
    """Whether a VP8 packet holds a picture that is never shown, only referred to (RFC 6386, 9.1: show_frame)."""
    return not packet[0] & 0x10


ZEROS = bytes(64)
"""Longer than any run of zero bytes that the arithmetic coder of VP8 wrote into a sound file (25 were met)."""
FOUR_ZEROS = bytes(4)
"""Three may not stand in a slice either, but some writers leave a start code (three zeros and a one) at its end."""


def is_broken(codec: str, header: bytes, packet: Any) -> bool:
    """Whether a packet holds what no sound one can, so that some of its bytes were lost.

    H.264 and HEVC: lengths of NAL units that do not fill the packet, or zeros that a unit may not hold (ISO/IEC
    14496-10, 7.4.1; ISO/IEC 23008-2, 7.4.2). VP8 and VP9: a long run of zeros, not at the end.
    """
    if codec in ("vp8", "vp9"):
        return ZEROS in bytes(packet).rstrip(b"\0")
    size_at = {"h264": 4, "hevc": 21}.get(codec)
    if size_at is None or len(header) <= size_at or header[0] != 1:
        return False
    data, at, width = bytes(packet), 0, (header[size_at] & 3) + 1
    while at + width < len(data):
        length = int.from_bytes(data[at : at + width], "big")
        if at + width + length > len(data):
            return True
        if FOUR_ZEROS in data[at + width : at + width + length].rstrip(b"\0"):
            return True
        at += width + length
    return at != len(data)


def units(header: bytes, size_at: int, packet: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """NAL units of a length-prefixed packet; none when the stream is not of that kind."""
    if len(header) <= size_at or header[0] != 1:
        return
    width = (header[size_at] & 3) + 1
    at = 0
    while at + width < len(packet):
        length = int.from_bytes(packet[at : at + width], "big")
        if length:
            yield packet[at + width : at + width + length]
        at += width + length
