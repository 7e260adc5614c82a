"""What a judge is shown of one answer: the question, its options, the reply, and what the reply is compared with.

Example:
    form, subject = subject_of(evaluator, record)
    form.name, subject.options.letters
    # ('reading', ('A', 'B'))
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from evaluators import Evaluator
from evaluators.judged import Judged
from viubench.datasets.choices import Choices, split_inline
from viubench.judging.forms import CORRECT, FORMS, READING, RESTATED, Form, object_text
from viubench.schema import Record
from viubench.tasks import templating

MARK = "<video>"
_DASHES = re.compile(r"-{5,}")
LETTERED = ("choice", "paired_choice", "grouped_choice")
"""Evaluators whose answer is one of the options of the question."""

YES_NO = Choices(("yes", "no"), ("yes", "no"))


@dataclass(frozen=True)
class Subject:
    """What the prompt of a judge is made from. `blocks` are (title, text), the reply last."""

    form: Form
    question: str
    response: str
    options: Choices | None = None
    blocks: tuple[tuple[str, str], ...] = ()
    criteria: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a verdict on it."""
        letters = self.options.letters if self.options else ()
        return self.form.fields(letters) | dict.fromkeys(self.criteria, tuple(range(1, 6)))

    def swapped(self) -> tuple[Subject, dict[str, str]]:
        """With the options, or what stands beside the reply, in the opposite order; and the letter of the question
        for each letter shown."""
        turned = replace(self, blocks=self.blocks[::-1])
        if self.options is None:
            return turned, {}
        letters, texts = self.options
        if not self.options.lines():  # yes and no have no other names
            return turned, {}
        return replace(turned, options=Choices(letters, texts[::-1])), dict(zip(letters, letters[::-1], strict=True))

    @property
    def fence(self) -> str:
        """What the texts of others stand between: more dashes than they have anywhere, so that none can close it."""
        texts = [self.response, *(text for _, text in self.blocks)]
        return "-" * max(5, *(len(dashes) + 1 for text in texts for dashes in _DASHES.findall(text)), 0)

    def prompt(self, template: str = "") -> str:
        """The question to the judge, by a template in place of the form's own where one is given."""
        known = {
            "question": self.question,
            "options": (self.options.lines() or "\n".join(self.options.texts)) if self.options else "",
            "response": self.response,
            "blocks": self.blocks,
            "criteria": self.criteria,
            "answer": dict(self.blocks).get("Reference answer", ""),
            "fence": self.fence,
            "form": object_text(self.fields),
        }
        return templating.text(template or self.form.prompt, known, what="the judge's prompt")


def forms_of(evaluator: Evaluator) -> tuple[Form, ...]:
    """The forms of the questions about answers of a task with this evaluator."""
    if isinstance(evaluator, Judged):
        return (FORMS[evaluator.form],)
    return (READING, CORRECT) if evaluator.name in LETTERED else (RESTATED,)


def subject_of(evaluator: Evaluator, record: Record) -> Subject:
    """What to ask about an answer of a task with this evaluator."""
    question = record.question.replace(MARK, "").strip()
    response = (record.response or "").strip()
    if isinstance(evaluator, Judged):
        return _declared(evaluator, record.target, question, response)
    if evaluator.name not in LETTERED:
        return Subject(RESTATED, question, response)
    stem, options = _options(question, record.target)
    if options is not None:
        return Subject(READING, stem, response, options)
    return Subject(CORRECT, question, response, blocks=_blocks(evaluator.canonical(record.target), response))


def _declared(evaluator: Judged, target: Any, question: str, response: str) -> Subject:
    """What a task asks its judge; see `evaluators.judged`."""
    form = FORMS[evaluator.form]
    if form.lettered:
        stem, options = split_inline(target["question"])
        return Subject(form, stem, response, options)
    return Subject(form, question, response, blocks=_blocks(target, response), criteria=evaluator.criteria)


def _options(question: str, target: Any) -> tuple[str, Choices | None]:
    """The question without its options, and those; None where the true one is not among them."""
    if target in YES_NO.letters:
        return question, YES_NO
    try:
        stem, options = split_inline(question)
    except ValueError:
        return question, None
    return (stem, options) if target in options.letters else (question, None)


def _blocks(target: Any, response: str) -> tuple[tuple[str, str], ...]:
    """The reference, in one text or several by name, and the reply."""
    named = target if isinstance(target, dict) else {"answer": target}
    titles = {"answer": "Reference answer"}
    blocks = [(titles.get(name, name.replace("_", " ").capitalize()), _text(value)) for name, value in named.items()]
    return (*blocks, ("Reply", response))


def _text(value: Any) -> str:
    return "\n".join(f"- {one}" for one in value) if isinstance(value, list | tuple) else str(value)
