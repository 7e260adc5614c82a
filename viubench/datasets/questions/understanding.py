"""A table of questions as a task: what its columns mean, how its answers are written, and which evaluator scores them.

Example:
    own = understand(read(Path("questions.csv"), embedded()), [Path(".")])
    print("\\n".join(own.lines))
    # questions.csv: 12 rows -> task questions (choice, accuracy), protocol fps2-32
    #   video     clip
    #   ...

The task is one as any other: as YAML (`own.yaml()`) it is read again without the table being looked at.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from viubench.datasets import choices, video_places
from viubench.datasets.questions import answers, options
from viubench.datasets.questions.answers import Asked, Reading
from viubench.datasets.questions.columns import GROUPS, KEYS, Columns, plain, recognise
from viubench.datasets.questions.options import Options
from viubench.datasets.questions.table import Table
from viubench.datasets.questions.templates import field, reference
from viubench.errors import ViubenchError
from viubench.schema import Task, VideoSpec
from viubench.tasks import cells

ROOTS = ("", "videos", "video", "clips", "media", "data")
EXTENSIONS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v")
MOST_GROUPS = 40
PROBED = 50  # rows whose cells are looked for as videos, where no column is known to have them
OPEN_TOKENS = 512
WORDS = {"yes_no": ["yes", "no"], "true_false": ["True", "False"]}
"""Kinds of answers that are options themselves."""

METRICS = {"choice": "accuracy", "temporal_iou": "miou", "number": "mra", "judged": "accuracy"}


@dataclass(frozen=True)
class Own:
    """A table and the task it was understood as, with what a user is told of that."""

    task: Task
    table: Table
    lines: tuple[str, ...]

    def yaml(self) -> str:
        """The task file."""
        data = self.task.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)


def understand(
    table: Table,
    folders: Sequence[Path],
    columns: Mapping[str, str] | None = None,
    answer_kind: str | None = None,
    name: str = "",
) -> Own:
    """The task that a table is; `folders` are those its videos may lie in.

    Args:
        columns: meaning -> column, for those that their names do not tell.
        answer_kind: how answers are written (see `answers.KINDS`), where the rows do not tell.
        name: of the task, by default the file's.

    Raises:
        ViubenchError: no column of videos, questions or answers, or answers that may mean two things; the hint says
            what to name.
    """
    if answer_kind is not None and answer_kind not in answers.KINDS:
        hint = f"one of {', '.join(answers.KINDS)}"
        raise ViubenchError(f"no such kind of answers: {answer_kind!r}", where="--answer-kind", hint=hint)
    reader = _Reader(table, recognise(table.columns, columns or {}), answer_kind)
    try:
        return reader.own(folders, name or table.name)
    except ViubenchError as error:
        raise ViubenchError(error.message, where=error.where or table.path or "tasks", hint=error.hint) from None


class _Reader:
    """The parts of the task, each with a line that says what was understood."""

    def __init__(self, table: Table, found: Columns, answer_kind: str | None) -> None:
        self.table = table
        self.rows = table.rows
        self.found = found
        self.answer_kind = answer_kind
        self.said: dict[str, str] = {}
        self.used: set[str] = set()

    def own(self, folders: Sequence[Path], name: str) -> Own:
        video = self.video(folders)
        scored = self.answer()
        interval = scored["evaluator"]["name"] == "temporal_iou"
        task = Task.model_validate(
            {
                "task": name,
                "description": f"The questions of {Path(self.table.path).name or 'a table'}.",
                "domain": "own",
                "rows": {"files": [glob.escape(Path(self.table.path).name or "questions.jsonl")], "bad_rows": "skip"},
                "video": video | self.parts() | ({"duration": self.duration()} if interval and self.duration() else {}),
                "id": self.id(),
                "question": self.question(),
                **scored,
                "protocol": "fps2-32",
                "group_by": self.groups(),
            }
        )
        return Own(task, self.table, self.lines(task))

    def video(self, folders: Sequence[Path]) -> dict[str, Any]:
        """The column of videos: of several likely ones the first whose videos are there."""
        likely = [name for name in self.found.several("video") if self.filled(name)] or self.holding_videos(folders)
        if not likely:
            raise self.missing("video")
        spec: dict[str, Any] = {"path": "x", "roots": list(ROOTS), "extensions": list(EXTENSIONS)}
        there = {}
        for name in likely:
            names = [text for row in self.rows for text in _names(row[name])]
            places = video_places.find(names, folders, VideoSpec(**spec))
            files = {one for one in names if not one.startswith(video_places.ADDRESSES)}
            there[name] = len(files) - len(places.missing), len(files), places.root
        best = max(likely, key=lambda name: there[name][0])
        count, total, root = there[best]
        found = f"{count} of {total} found below {root if count else folders[0]}" if total else "addresses"
        self.said["video"] = f"{self.use(best)}: {found}"
        several = any(isinstance(cells.parsed(row[best]), list) for row in self.rows)
        numeric = any(isinstance(row[best], int | float) for row in self.rows)
        return spec | {"path": field(best, "listed" if several else "text" if numeric else "")}

    def holding_videos(self, folders: Sequence[Path]) -> list[str]:
        """Columns whose name says nothing, and whose cells are mostly names of videos that are there, all the same."""
        told = {name for meaning in ("question", "options", "answer") for name in self.found.several(meaning)}
        spec, holding = VideoSpec(path="x", roots=list(ROOTS), extensions=list(EXTENSIONS)), []
        for column in self.table.columns if "video" not in self.found.given else ():
            names = {cells.text(row[column])[:255] for row in self.rows[:PROBED] if isinstance(row[column], str | int)}
            if column not in told and 2 * len(video_places.find(names, folders, spec).missing) < len(names):
                holding.append(column)
        if len({tuple(Path(cells.text(row[name])).stem for row in self.rows) for name in holding}) > 1:
            message, hint = f"several columns hold videos: {', '.join(holding)}", "write a list of them in one column"
            raise ViubenchError(message, hint=f"{hint}, or name the one that is asked about: --columns video=NAME")
        return holding

    def parts(self) -> dict[str, str]:
        """The part of the video, or the frames, that a row chooses."""
        spec: dict[str, str] = {}
        if ends := self.found.clip_ends:
            for key, name in zip(("start", "end"), ends, strict=True):
                if name and name not in self.used:
                    spec[key] = field(self.use(name), "seconds", empty=True)
            if spec:
                self.said["shown"] = f"from {ends[0] or 'the start'} to {ends[1] or 'the end'}, in seconds"
        for key in ("frames", "times"):
            for name in self.found.several(key):
                lists = [row[name] for row in self.rows if row[name] is not None and _is_list(row[name])]
                if name not in self.used and lists and not ({"frames", "times"} & set(spec)):
                    spec[key] = field(self.use(name), "numbers", empty=True)
                    self.said[key] = f"{name}, of {len(lists)} rows; they are shown instead of the protocol's"
        return spec

    def question(self) -> str:
        name = next((name for name in self.found.several("question") if name not in self.used), "")
        if not name or not self.filled(name):
            raise self.missing("question")
        self.said["question"] = self.use(name)
        return self.asked(name)

    def asked(self, name: str) -> str:
        """The template of a question, without the marks of its video, which are set anew."""
        marked = any(cells.unmarked(row[name]) != cells.text(row[name]) for row in self.rows)
        return field(name, "unmarked" if marked else "")

    def answer(self) -> dict[str, Any]:
        """Options, answer, evaluator and metric."""
        own = self.options()
        likely = [name for name in self.found.several("answer") if name not in self.used and self.filled(name)]
        if own is not None:
            if not likely:
                raise self.missing("answer")
            return self.choice(likely, own)
        if not likely:
            return self.interval()
        name = likely[0]
        values = [row[name] for row in self.rows if row[name] is not None]
        reading = answers.of_values(values) if self.answer_kind is None else Reading(self.answer_kind, len(values))
        if reading.kind in ("letter", "text", "index0", "index1"):
            raise self.missing("options")
        if reading.kind == "open" and all(len(cells.letter(value)) == 1 for value in values):
            raise self.missing("options")
        self.said["answer"] = f"{self.use(name)}: {answers.SAYS[reading.kind]}"
        if reading.kind in WORDS:
            return self.scored("choice", field(name, "text"), options=f"{{{{ {WORDS[reading.kind]} }}}}")
        if reading.kind == "interval":
            return self.scored("temporal_iou", field(name, "windows"))
        if reading.kind == "number":
            return self.scored("number", field(name, "text"))
        scored = self.scored("judged", field(name, "text"))
        scored["evaluator"]["params"] = {"form": "correct"}
        return scored | {"generation_kwargs": {"max_new_tokens": OPEN_TOKENS}}

    def interval(self) -> dict[str, Any]:
        """An interval that its own columns tell."""
        ends = self.found.answer_ends or self.found.clip_ends
        if ends and all(ends) and all(self.filled(name) for name in ends):
            start, end = (self.use(name) for name in ends)
            self.said["answer"] = f"{start}, {end}: an interval in seconds"
            return self.scored(
                "temporal_iou", f"{{{{ [[{reference(start)} | seconds, {reference(end)} | seconds]] }}}}"
            )
        for name in self.found.several("interval"):
            values = [row[name] for row in self.rows if row[name] is not None]
            if name not in self.used and values and answers.of_values(values, intervals=True).kind == "interval":
                self.said["answer"] = f"{self.use(name)}: {answers.SAYS['interval']}"
                return self.scored("temporal_iou", field(name, "windows"))
        raise self.missing("answer")

    def options(self) -> Options | None:
        """The options of the rows; None where the table has none."""
        if own := options.in_columns(self.rows, self.found):
            return self.take(own)
        for name in self.found.several("options"):
            if self.filled(name) and name not in self.used:
                if own := options.in_one(self.rows, name):
                    return self.take(own)
                if name not in self.found.several("answer"):
                    options.refuse_unread(self.rows, name)
        if self.answer_kind in ("number", "interval", "open", *WORDS):
            return None
        right = next((name for name in self.found.several("answer") if self.filled(name)), "")
        name = self.found.one("question")
        own = options.apart(self.rows, self.found, right)
        if own is None and name:
            own = options.in_question(self.rows, name, self.asked(name))
        return self.take(own) if own else None

    def take(self, own: Options) -> Options:
        for name in own.columns:
            self.use(name)
        self.said["options"] = own.said
        return own

    def choice(self, likely: Sequence[str], own: Options) -> dict[str, Any]:
        """Multiple choice: of several columns of answers the first that can be read; another one settles what numbers
        count from."""
        likely_kinds = ["text"] if own.apart else [kind for kind in answers.WAYS if self.counts(kind)]
        kinds = [self.answer_kind] if self.answer_kind else likely_kinds
        fault: ViubenchError | None = None
        asked = {
            name: [
                Asked(row["_place"], row[name], texts, self.found.options)
                for row, texts in zip(self.rows, own.texts, strict=True)
                if row[name] is not None and texts
            ]
            for name in likely
        }
        for name in filter(asked.get, likely):
            try:
                reading = answers.of_options(asked[name], kinds)
            except ViubenchError as error:
                fault = fault or error
                continue
            answers.refuse_contradiction(asked, name)
            self.said["answer"] = f"{self.use(name)}: {answers.SAYS[reading.kind]}"
            if without := sum(not texts for texts in own.texts):
                said = f"; {without} of {len(self.rows)} rows have none: ask those from a table of their own"
                self.said["options"] += said
            return self.scored("choice", self.named(name, reading.kind), options=own.template)
        raise fault or self.missing("answer")

    def counts(self, kind: str) -> bool:
        """Whether answers may be of that kind: options in columns with numbers are counted as those are."""
        first = self.found.marks[:1]
        return not (kind.startswith("index") and first in (("0",), ("1",)) and kind != f"index{first[0]}")

    def named(self, name: str, kind: str) -> str:
        """The template of an answer that names an option in this way."""
        if kind.startswith("index"):
            return field(name, f"letter({kind.removeprefix('index')})")
        if kind == "column":
            letters = {
                column.casefold(): letter for column, letter in zip(self.found.options, choices.LETTERS, strict=False)
            }
            return f"{{{{ {json.dumps(letters)}[{reference(name)} | text | lower | trim] }}}}"
        return field(name, "letter")

    def scored(self, evaluator: str, answer: str, options: str = "") -> dict[str, Any]:
        parts = {"options": options} if options else {}
        return parts | {"answer": answer, "evaluator": {"name": evaluator}, "metric": METRICS[evaluator]}

    def id(self) -> str:
        """The rows' own ids, where each has one and none has two."""
        for name in self.found.several("id"):
            values = [cells.text(row[name]).strip() for row in self.rows]
            if name not in self.used and all(values) and len(set(values)) == len(values):
                self.said["id"] = self.use(name)
                return field(name, "text")
        return ""

    def duration(self) -> str:
        name = self.found.one("duration")
        numeric = name and all(answers.is_number(row[name]) for row in self.rows)
        return field(self.use(name), "seconds") if numeric else ""

    def groups(self) -> dict[str, str]:
        """Columns that scores are broken down by."""
        groups: dict[str, str] = {}
        for name in self.table.columns:
            values = {cells.text(row[name]) for row in self.rows}
            if name not in self.used and plain(name) in GROUPS and 1 < len(values) <= MOST_GROUPS and "" not in values:
                groups[plain(name)] = field(self.use(name), "text")
        if groups:
            self.said["groups"] = ", ".join(groups)
        return groups

    def lines(self, task: Task) -> tuple[str, ...]:
        """What was understood, for the user."""
        source = Path(self.table.path).name or "the table"
        head = (
            f"{source}: {len(self.rows)} rows, task {task.task}: {task.evaluator.name}, {task.metric}; {task.protocol}"
        )
        unused = [name for name in self.table.columns if name not in self.used]
        said = self.said | ({"not used": ", ".join(unused)} if unused else {})
        order = ("video", "shown", "frames", "times", "question", "options", "answer", "id", "groups", "not used")
        return (head, *(f"  {key:<9} {said[key]}" for key in order if key in said))

    def filled(self, name: str) -> bool:
        return any(row[name] is not None for row in self.rows)

    def use(self, name: str) -> str:
        self.used.add(name)
        return name

    def missing(self, meaning: str) -> ViubenchError:
        there = ", ".join(self.table.columns)
        what = {"options": "its answers are letters or numbers of options, but no column has options"}
        message = what.get(meaning, f"no column is known to be the {meaning}")
        if empty := next((name for name in self.found.several(meaning) if not self.filled(name)), ""):
            message = f"the column {empty!r} is empty"
        return ViubenchError(message, hint=f"name it with --columns {meaning}=NAME; there are: {there}")


def _names(value: Any) -> list[str]:
    value = cells.parsed(value)
    return [text for one in (value if isinstance(value, list) else [value]) if (text := cells.text(one))]


def _is_list(value: Any) -> bool:
    """Whether a cell is a choice of frames: a list, or several numbers as text, and no single number."""
    try:
        return not isinstance(value, int | float) and bool(cells.numbers(value)) and not answers.is_number(value)
    except ValueError:
        return False


__all__ = ["KEYS", "Own", "understand"]
