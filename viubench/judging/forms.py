"""The questions that a judge is asked, and the form of a verdict: one JSON object with a reason and a few fields.

Example:
    >>> READING.fields(("A", "B"))
    {'answer': ('A', 'B', 'none')}
    >>> print(object_text({"answer": ("A", "none")}))
    {"reason": "one short sentence", "answer": ...}
    where answer is one of "A", "none"

A prompt is a Jinja template over `question`, `options` (lettered lines), `answer` (the true one), `response`,
`criteria` (name -> meaning), `blocks` (the response and what it is compared with, in the order to show them), `fence`
(a line of dashes that none of them holds) and `form` (the JSON object to reply with).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = str | int | bool
Fields = Mapping[str, tuple[Value, ...]]
"""What a verdict says: each field with the values it may have; none named, any text."""

NONE = "none"
LONGEST = 400
"""Characters of a text at most, where an engine holds the verdict to its form."""

_REPLY = "\nReply with one JSON object and nothing else:\n{{ form }}"


@dataclass(frozen=True)
class Form:
    """One kind of question: its prompt, whether the verdict is one of the letters, and other fields it has."""

    name: str
    prompt: str
    lettered: bool = False
    own: Fields = field(default_factory=dict)

    def fields(self, letters: Sequence[str] = ()) -> dict[str, tuple[Value, ...]]:
        """The fields of a verdict on a question with these letters."""
        return {"answer": (*letters, NONE)} if self.lettered else dict(self.own)


READING = Form(
    "reading",
    """A model was asked a multiple-choice question about a video. Say which option its reply settles on.
Go by what the reply says and not by what is right. An option that the reply takes back or rejects is not its answer.
Write "none" where the reply settles on no option, or on more than one.

Question:
{{ question }}

Options:
{{ options }}

Reply, between the lines:
{{ fence }}
{{ response }}
{{ fence }}
"""
    + _REPLY,
    lettered=True,
)

RESTATED = Form(
    "restated",
    """A model was asked a question about a video. Write down the answer that its reply settles on, short and in the
form that the question asks for. Go by what the reply says and not by what is right; do not work anything out yourself.
Write "none" where the reply settles on no answer, or on more than one.

Question:
{{ question }}

Reply, between the lines:
{{ fence }}
{{ response }}
{{ fence }}
"""
    + _REPLY,
    own={"answer": ()},
)

CAPTION = Form(
    "caption",
    """Here are a description of a video and a multiple-choice question about the video. You cannot see the video:
answer the question from the description alone. Write "none" where the description does not say enough to answer, where
it fits none of the options, or where it fits more than one of them.

Description, between the lines:
{{ fence }}
{{ response }}
{{ fence }}

Question:
{{ question }}

Options:
{{ options }}
"""
    + _REPLY,
    lettered=True,
)

_BLOCKS = """{% for title, text in blocks %}
{{ title }}, between the lines:
{{ fence }}
{{ text }}
{{ fence }}
{% endfor %}"""

CORRECT = Form(
    "correct",
    """A model was asked a question about a video. Say whether its reply gives the same answer as the reference.
Wording, order and further detail do not matter. A reply that contradicts the reference, leaves out what the question
asks for, offers several answers or gives none is not correct.

Question:
{{ question }}
"""
    + _BLOCKS
    + _REPLY,
    own={"correct": (True, False)},
)

RATING = Form(
    "rating",
    """A model was asked to write about a video. Rate its reply against the reference, which describes the same video.

Question:
{{ question }}
"""
    + _BLOCKS
    + """
Rate each of these from 1 (worst) to 5 (best), in whole numbers:
{% for name, meaning in criteria.items() %}- {{ name }}: {{ meaning }}
{% endfor %}"""
    + _REPLY,
)

FORMS = {form.name: form for form in (READING, RESTATED, CAPTION, CORRECT, RATING)}


def object_text(fields: Fields) -> str:
    """A verdict as the prompt describes it."""
    shown = ", ".join(f'"{name}": ...' for name in fields)
    legend = (f"{name} is {_one_of(allowed)}" for name, allowed in fields.items())
    return f'{{"reason": "one short sentence", {shown}}}\nwhere {" and ".join(legend)}'


def _one_of(allowed: tuple[Value, ...]) -> str:
    return f"one of {', '.join(map(json.dumps, allowed))}" if allowed else "a text"


def regex(fields: Fields) -> str:
    """A verdict as a regular expression, for engines that hold an answer to its form."""
    said = rf'"[^"\\\n\r\t]{{0,{LONGEST}}}"'
    values = {"reason": said} | {
        name: f"(?:{'|'.join(re.escape(json.dumps(value)) for value in allowed)})" if allowed else said
        for name, allowed in fields.items()
    }
    return r"\{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + r"\}"


def schema(fields: Fields) -> str:
    """A verdict as the text of a JSON schema, for servers that take one."""
    text = {"type": "string"}
    own: dict[str, Any] = {name: {"enum": list(allowed)} if allowed else text for name, allowed in fields.items()}
    properties = {"reason": text} | own
    closed = {"required": list(properties), "additionalProperties": False}
    return json.dumps({"type": "object", "properties": properties} | closed)
