"""A response made ready to be read: every character keeps its place, so that a span found here is one in the response.

Example:
    >>> ready = prepare("<think>7 or 8</think>It is **5**. <answer>5</answer>")
    >>> ready.text.split(), ready.tag
    (['5'], (42, 43))

Thinking, Markdown and markup are blanked; the last filled `<answer>` or `\\boxed{}` is where the answer stands,
readable or not. Of a long text only the beginning and the end are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import normalize

HEAD, TAIL = 4_000, 8_000
"""Characters read at the beginning and at the end of a longer text: an answer in between is announced to nobody."""

_THINKING = re.compile(
    r"(?P<close></(?:think|thinking|thought|reasoning)>|◁/think▷|\[/THINK\])"
    r"|<(?:think|thinking|thought|reasoning)>|◁think▷|\[THINK\]",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"(?P<box>\\f?boxed\s{0,3}\{)|(?P<brace>\{)|(?P<unbrace>\})"
    r"|(?P<open><answer>|<\|begin_of_box\|>)|(?P<close></answer>|<\|end_of_box\|>)",
    re.IGNORECASE,
)
_SAYING = r"(?!(?:start|begin|end|circles?|squares?|triangles?)>)"
"""Names of tags that say what they enclose: "<start>3.2</start>"."""
_MARKUP = re.compile(
    rf"~~[^~\n]{{1,200}}~~|<\|[^|<>\n]{{1,40}}\|>|</?{_SAYING}[a-z][a-z0-9]{{1,15}}>"
    r"|</[bipsu]>|<[bipsu]>(?=[^<\n]{1,200}</[bipsu]>)"
    r"|\\(?:f?boxed|(?:text|math)?(?:bf|rm|it|tt)?)(?=\{)",
    re.IGNORECASE,
)
_ARROW = re.compile(r"\\(?:long)?(?:rightarrow|to)\b")
_BOX = re.compile(r"[\[(]\s?(?:(?P<ticked>[xX✓✔☑])|(?P<crossed>[✗✘])|)\s?[\])]")
_WORD = re.compile(r"[^\W_]")
_TURN_ENDS = re.compile(
    r"<\|(?:endoftext|im_end|eot_id|end_of_sentence|end)\|>|</s>|<eos>"
    r"|\n\s{0,20}(?:(?:next\s)?question|human|user|q)\s?[0-9]{0,3}\s?:",
    re.IGNORECASE,
)
_ANSWERED = 8
"""Characters of a bare answer, after which a next question is the model's own."""
PLAIN = str.maketrans(
    {
        **dict.fromkeys(
            '*_`$#{}"“”„«»\\\r\t\u00a0\u2007\u2009\u202f\u3000\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f\u20e3', " "
        ),
        **dict.fromkeys("\u2212\u2010\u2011", "-"),
        **dict.fromkeys("➡➔➜➝➞➙⇒⟶⟹➤▶", "→"),
        **{chr(code): plain for code in range(0x1D400, 0x1D800) if len(plain := normalize("NFKC", chr(code))) == 1},
        **{chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)},  # full-width forms
        **{chr(0x24B6 + k): chr(ord("A") + k) for k in range(26)},  # circled letters
        **{chr(0x24D0 + k): chr(ord("a") + k) for k in range(26)},
        **{chr(0x2460 + k): chr(ord("1") + k) for k in range(9)},  # circled digits
        **dict.fromkeys("「」『』《》", " "),
        **dict.fromkeys("、・،", ","),
        **dict(zip("؛؟।", ";?.", strict=True)),
        **{chr(zero + k): str(k) for zero in (0x660, 0x6F0, 0x966, 0xE50) for k in range(10)},  # other scripts' digits
        **dict(zip("’‘【】〈〉", "''[]<>", strict=True)),
    }
)


@dataclass(frozen=True)
class Ready:
    """The text to read, cleaned, blank where it is not read; and what the answer's tag encloses, if there is one."""

    text: str
    tag: tuple[int, int] | None = None
    offset: int = 0
    cut: int = 0

    def place(self, at: int) -> int:
        """The place in the response of the character `at` of `text`."""
        return at + self.offset if at > self.cut else at


def prepare(response: str) -> Ready:
    """The response without its thinking and markup, cut to its beginning and end, and its last filled answer tag."""
    shown = _own_turn(_hide_thinking(response))
    offset = max(0, len(shown) - HEAD - TAIL - 1)
    if offset:
        shown = shown[:HEAD] + "\n" + shown[HEAD + 1 + offset :]
    shown = _boxes(shown)
    clean = _ARROW.sub(lambda m: "→".ljust(len(m[0])), _MARKUP.sub(lambda m: " " * len(m[0]), shown)).translate(PLAIN)
    tags = sorted(_tags(shown))
    for start, end in reversed(tags):
        if _WORD.search(clean, start, end):
            return Ready(" " * start + clean[start:end], (start, end), offset, HEAD)
    return Ready(_blank(clean, tags), None, offset, HEAD)


def _own_turn(text: str) -> str:
    """Blanks the turns that a model made up after its own: what follows the end of its text, or a next question after a
    bare answer."""
    said = _WORD.search(text)
    begin = max(said.start() if said else len(text), text.lower().rfind("assistant"))
    for end in _TURN_ENDS.finditer(text, begin):
        if end[0][0] == "<" or end.start() - begin <= _ANSWERED:
            return text[: end.start()] + "\n" + " " * (len(text) - end.start() - 1)
    return text


def _boxes(text: str) -> str:
    """Boxes to tick as ticks and crosses, where some are ticked and some are not: "[ ] A, [x] B"."""
    boxes = {bool(box["ticked"]) for box in _BOX.finditer(text)}
    return _BOX.sub(lambda box: ("✓" if box["ticked"] else "✗").ljust(len(box[0])), text) if len(boxes) == 2 else text


def _hide_thinking(text: str) -> str:
    """Blanks what was thought: before a closing mark without an opening one, and after an opening one never closed."""
    blocks: list[tuple[int, int]] = []
    opened: int | None = None
    for mark in _THINKING.finditer(text):
        if mark["close"]:
            blocks.append((0 if opened is None else opened, mark.end()))
            opened = None
        elif opened is None:
            opened = mark.start()
    if opened is not None:
        blocks.append((opened, len(text)))
    return _blank(text, sorted(blocks))


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with the ascending, possibly nested `spans` overwritten by spaces."""
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if end > at:
            start = max(start, at)
            pieces += [text[at:start], " " * (end - start)]
            at = end
    return "".join([*pieces, text[at:]])


def _tags(text: str) -> list[tuple[int, int]]:
    """What answer tags enclose; an unclosed `<answer>` runs to the end of the text."""
    spans: list[tuple[int, int]] = []
    braces: list[tuple[bool, int]] = []
    opened: int | None = None
    for mark in _TAG.finditer(text):
        if mark["open"]:
            opened = mark.end()
        elif mark["close"]:
            if opened is not None:
                spans.append((opened, mark.start()))
            opened = None
        elif mark["unbrace"]:
            boxed, start = braces.pop() if braces else (False, 0)
            if boxed:
                spans.append((start, mark.start()))
        else:
            braces.append((mark["box"] is not None, mark.end()))
    if opened is not None:
        spans.append((opened, len(text)))
    return spans
