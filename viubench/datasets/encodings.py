"""Text files of others, in whatever encoding they are: read rightly, or refused with the reason.

Example:
    >>> decoded("Où êtes-vous ?".encode("cp1252"))
    'Où êtes-vous ?'
    >>> decoded("我在厨房里".encode("gb18030"))
    '我在厨房里'
    >>> decoded("Где вы были?".encode("cp1251"))
    Traceback (most recent call last):
    ...
    ValueError: its encoding is not known: save it as UTF-8
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

UNKNOWN = "its encoding is not known: save it as UTF-8"

_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_PUNCTUATION = "¡¿«»‹›“”„‘’‚–—…·•°€£©™ \u00a0\u00ad"
_WORD_OF_OTHERS = re.compile(r"[^\W\d_\x00-\x7f]{4}")


def decoded(data: bytes) -> str:
    """The text of a file: of UTF-8, of UTF-16 and UTF-32 with a byte order mark, of GB18030 and Windows-1252 where it
    can be nothing else; no character is ever replaced.

    Raises:
        ValueError: it is none of them, or damaged; says which.
    """
    for mark, encoding in BOMS.items():
        if data.startswith(mark):
            return _strict(data, encoding)
    if b"\0" in data:
        raise ValueError("it is no text: it holds zero bytes")
    with suppress(UnicodeDecodeError):
        return data.decode()
    if len(_UTF8.findall(data)) > data.decode(errors="replace").count("\ufffd"):
        return _strict(data, "utf-8")
    text = _chinese(data) or _western(data)
    if text is None:
        raise ValueError(UNKNOWN)
    return text


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise ValueError(f"it is damaged: no {name} text from byte {error.start} on") from None


def _chinese(data: bytes) -> str | None:
    """As GB18030, where nearly all characters are frequent ones, whose two bytes are both high: those of Big5 are not,
    single high bytes are Western, and Korean and Japanese would be mostly Hangul and often kana."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    pairs = _PAIR.findall(data)
    high = sum(min(pair) >= 0xA1 for pair in pairs)
    wide = sum(char > "\x7f" for char in text)
    korean = len(_HANGUL.findall(data.decode("euc_kr", errors="ignore")))
    if high < 0.9 * len(pairs) or korean > 0.9 * wide or len(_KANA.findall(text)) > 0.2 * wide:
        return None
    return text


def _western(data: bytes) -> str | None:
    """As Windows-1252, which has what Latin-1 has; many signs, or words of accented letters alone, are what the letters
    of another alphabet look like in it."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    other = [char for char in text if char > "\x7f"]
    signs = sum(char in "ªºµ" or not (char.isalpha() or char in _PUNCTUATION) for char in other)
    kana = len(_KANA.findall(data.decode("shift_jis", errors="ignore")))
    return None if _WORD_OF_OTHERS.search(text) or max(signs, kana) > 0.2 * len(other) else text
