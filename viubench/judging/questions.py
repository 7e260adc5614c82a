"""What a judge is asked about a finished run: one question for each answer that rules could not read, and the checks.

Example:
    asked = Questions(manifest, checks=20).of(records)
    asked[0].form.name, asked[0].prompt[:32]
    # ('reading', 'A model was asked a multiple-choi')

An answer is asked about where a judge alone can score it (`unjudged`), or where rules found nothing in it. Three checks
say what the judge is worth, each on a drawn `checks` answers of a task: `read` asks about answers that the rules read,
`swapped` turns the options (or the order of reference and reply) round, `repeated` asks the same once more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import evaluators
from evaluators import Evaluator
from evaluators.judged import Judged
from viubench.errors import ViubenchError
from viubench.judging import published
from viubench.judging.forms import Fields, Form
from viubench.judging.published import Exchange
from viubench.judging.subjects import Subject, forms_of, subject_of
from viubench.schema import EvaluatorSpec, Manifest, Record, content_hash
from viubench.storage.record_log import Key

Check = Literal["", "read", "swapped", "repeated"]
CHECKS: tuple[Check, ...] = ("read", "swapped", "repeated")

UNREAD = frozenset({"unjudged", "unparsed", "truncated", "refused"})
"""Statuses of the answers that rules did not read."""

OTHERS = ("lmms_eval",)
"""Evaluators of other harnesses, which read every answer their own way."""


@dataclass(frozen=True)
class Asked:
    """One question to the judge about one answer.

    Attributes:
        answer: the judged answer (see `Record.key`), and `target` the true one.
        key: names the verdict; equal questions have one where the judge is greedy.
        back: letter shown -> letter of the question, where the options stand in another order.
    """

    answer: Key
    task: str
    cluster: str
    target: Any
    form: Form
    prompt: str
    fields: Fields
    key: str
    check: Check = ""
    back: Mapping[str, str] = field(default_factory=dict)
    exchange: Exchange | None = None
    """With the published judge, where that is asked."""

    def meant(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A verdict in the letters of the question."""
        return {name: self.back.get(value, value) if self.back else value for name, value in said.items()}


class Questions:
    """Makes the questions to one judge about the run of `manifest`.

    Args:
        checks: answers of each task that each check asks about.
        prompt: a template in place of the form's own, or "published".
        sampled: whether the judge's verdicts are drawn, so that equal questions are asked one by one.
    """

    def __init__(self, manifest: Manifest, *, checks: int = 0, prompt: str = "", sampled: bool = False) -> None:
        self.manifest = manifest
        self.checks = checks
        self.published = prompt == published.NAME
        self.prompt = "" if self.published else prompt
        self.sampled = sampled
        self.evaluators = {task: _evaluator(task, entry.evaluator) for task, entry in manifest.tasks.items()}

    @property
    def prompts(self) -> dict[str, dict[str, str]]:
        """The templates of each task by form; tasks that no judge is asked about are left out."""
        if self.published:
            return {task: {published.NAME: published.source(name)} for task, (name, _) in self.names.items()}
        return {
            task: {form.name: self.prompt or form.prompt for form in forms_of(evaluator)}
            for task, evaluator in self.evaluators.items()
            if evaluator.name not in OTHERS
        }

    @property
    def names(self) -> dict[str, tuple[str, str]]:
        """Of each task that has a published judge: the task of lmms-eval, and the form."""
        judged = {task: one for task, one in self.evaluators.items() if isinstance(one, Judged) and one.published}
        return {task: (one.published, one.form) for task, one in judged.items()}

    def of(self, records: Iterable[Record]) -> list[Asked]:
        """The questions about these records, checks last."""
        asked: list[Asked] = []
        subjects: list[tuple[Record, Subject]] = []
        read: dict[str, list[Record]] = {}
        known = set(self.prompts)
        for record in records:
            if not (record.response or "").strip() or record.task not in known:
                continue
            if record.status in UNREAD:
                subject = subject_of(self.evaluators[record.task], record)
                asked.append(self._asked(record, subject))
                subjects.append((record, subject))
            elif record.status == "ok" and self.checks:
                kept = read.setdefault(record.task, [])
                kept.append(record)
                if len(kept) > 4 * self.checks:  # a run may have a million answers
                    read[record.task] = _drawn(kept, self.checks)
        return asked + self._checks(subjects, read)

    def _checks(self, subjects: Sequence[tuple[Record, Subject]], read: Mapping[str, list[Record]]) -> list[Asked]:
        """The questions of each check; where the rules read every answer, the other two ask about those."""
        own: dict[str, dict[Key, tuple[Record, Subject]]] = {}
        for record, subject in subjects if self.checks else ():
            own.setdefault(record.task, {})[record.key] = (record, subject)
        found: list[Asked] = []
        for task in sorted({*own, *read}):
            compared = [
                (record, subject_of(self.evaluators[task], record))
                for record in _drawn(read.get(task, []), self.checks)
            ]
            found += [self._asked(record, subject, "read") for record, subject in compared]
            asked = own.get(task, {})
            drawn = [asked[record.key] for record in _drawn([record for record, _ in asked.values()], self.checks)]
            for record, subject in drawn or compared:
                found += [self._asked(record, subject, check) for check in CHECKS[1:] if self._checked(check)]
        return found

    def _checked(self, check: Check) -> bool:
        """Whether there is such a check: the published question has one order."""
        return check != "swapped" or not self.published

    def _asked(self, record: Record, subject: Subject, check: Check = "") -> Asked:
        subject, back = subject.swapped() if check == "swapped" else (subject, {})
        exchange = self._exchange(record, subject) if self.published else None
        prompt = exchange.question if exchange else subject.prompt(self.prompt)
        again = [*(record.key if self.sampled else ()), *(["repeated"] if check == "repeated" else [])]
        return Asked(
            answer=record.key,
            task=record.task,
            cluster=record.cluster,
            target=record.target,
            form=Form(published.NAME, "") if exchange else subject.form,
            prompt=prompt,
            fields=subject.fields,
            key=content_hash([prompt, *again]),
            check=check,
            back=back,
            exchange=exchange,
        )

    def _exchange(self, record: Record, subject: Subject) -> Exchange:
        """The answer with its published judge: of the document it has what that reads."""
        target = record.target if isinstance(record.target, dict) else {"answer": record.target}
        own = {"mc_question": target.get("question", ""), "mc_answer": target["answer"], "answer": target["answer"]}
        about = dict.fromkeys(("video_id", "dim", "capability"), "") | {"question": subject.question}
        return Exchange(*self.names[record.task], about | own, subject.response)


def _evaluator(task: str, spec: EvaluatorSpec) -> Evaluator:
    try:
        return evaluators.get(spec.name, **spec.params)
    except (LookupError, TypeError, ValueError) as error:
        hint = "install the package that registers it"
        raise ViubenchError(
            f"{task} was scored by what is not here: {error}", where="manifest.json", hint=hint
        ) from None


def _drawn(records: Sequence[Record], n: int) -> list[Record]:
    """The same `n` of these records each time, by a hash of their keys."""
    return heapq.nsmallest(n, records, key=lambda record: content_hash([*record.key]))
