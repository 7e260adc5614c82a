"""Text of others made safe to show: nothing a model, a path or a data set says can act on the reader's screen.

Example:
    >>> clean("\\x1b[31mred")
    '␛[31mred'
    >>> shorten("abcdefghij", 4)
    'ab\\n… 6 of 10 characters cut …\\nij'
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from viubench.schema import canonical_json

NAME_LENGTH = 120
"""Characters of a name that are shown; of a sentence that quotes names, ten times as many."""

_COMMAND = re.compile(r"^\s*::?|(?<=##)\[")
"""What a GitHub workflow takes for a command in a step's output: the one at the start of a line, the other anywhere."""

_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
"""The blocks of the scripts that are written from right to left."""

_WORD = rf"[\w./+@#{_RIGHT}-]*[{_RIGHT}](?:[\w./+@#{_RIGHT}-]*[\w{_RIGHT}])?"
_STRETCH = re.compile(rf"(?<![\w./+@#-]){_WORD}(?: {_WORD})*")
"""Words with such letters in them, and no punctuation after the last."""

_JOINERS = "\u200c\u200d"  # Indic and Persian words, and emoji, need them; they cannot reorder or hide text


def clean(text: str) -> str:
    """`text` with every control, bidirectional and invisible character, and lone surrogates, shown as a visible mark.

    Line feeds and tabs stay; CR LF becomes a line feed.
    """
    if text.replace("\n", "").isprintable():  # no control, format or surrogate character in it
        return text
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(char: str) -> str:
    if char in "\n\t" or char in _JOINERS:
        return char
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"‹U+{code:04X}›" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char


def isolate(text: str) -> str:
    """`text` with its words from right to left in isolates: the numbers and names after them stay where they are.

    For sentences that name what others named; a text that is somebody's own as a whole is left as it is.
    """
    return _STRETCH.sub("\u2068\\g<0>\u2069", text) if not text.isascii() else text


def shorten(text: str, most: int) -> str:
    """`text`, or its first and last `most` / 2 characters with a note of how many were cut between them."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} of {len(text):,} characters cut …\n{text[-half:]}"


def one_line(value: str, most: int = 10 * NAME_LENGTH) -> str:
    """Others' text on one line: controls as visible marks, no command to a workflow, cut to `most` characters."""
    shown = clean(value[:most]).replace("\n", "␊").replace("\t", "␉")
    shown = _COMMAND.sub(lambda found: f"‹{found[0].strip()}›", shown)
    return shown if len(value) <= most else f"{shown}…"


def short_line(value: str) -> str:
    """A name of others on one line, cut to `NAME_LENGTH` characters."""
    return one_line(value, NAME_LENGTH)


def show(value: Any) -> str:
    """An answer or target as a reader writes it: `[3.0, 9.5]` -> `3, 9.5`, `{"circles": 2}` -> `circles 2`."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, list) and all(isinstance(v, (int, float, str)) for v in value):
        return ", ".join(show(v) for v in value)
    if isinstance(value, dict) and all(isinstance(v, (int, float, str)) for v in value.values()):
        return ", ".join(f"{k} {show(v)}" for k, v in value.items())
    return canonical_json(_plain(value))


def _plain(value: Any, text: Callable[[str], str] = str) -> Any:
    """What JSON can say: NaN and infinities turned into None, and `text` of every string, keys included."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {text(str(k)): _plain(v, text) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, text) for v in value]
    return text(value) if isinstance(value, str) else value


def json_text(value: Any) -> str:
    """Value as JSON; every string is cleaned, keys included; equal values give equal text."""
    return json.dumps(_plain(value, clean), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def embed_json(value: Any) -> str:
    """`json_text` for a `<script type="application/json">` block: no character in it can end or open a tag."""
    text = json_text(value)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
