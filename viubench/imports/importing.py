"""An import from its files to a finished run: read twice, once to match, once to write, so that memory stays small.

Example:
    imported = import_files([Path("samples_videomme.jsonl")], EvalConfig("oracle", "videomme", out="runs/theirs"))
    imported.matching.matched
    # {'id': 2700}
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluators.published import get_rule
from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import rows
from viubench.engines.base import Response
from viubench.engines.baselines import AnswersEngine
from viubench.errors import ViubenchError
from viubench.imports import formats
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats import columns
from viubench.imports.formats.base import Format
from viubench.imports.matching import Decision, Matcher
from viubench.imports.questions import QuestionIndex
from viubench.runner import pipeline, planning
from viubench.runner.config import EvalConfig
from viubench.runner.evaluate import plan_run
from viubench.runner.plan import Attempt, Plan
from viubench.schema import (
    FileVerdict,
    Imported,
    ImportedFile,
    Manifest,
    Matching,
    Protocol,
    ProtocolEntry,
    Record,
    Results,
    ScoredRecord,
    content_hash,
    utf8,
)
from viubench.scoring.aggregate import summarise
from viubench.storage import record_log
from viubench.storage.run_dir import RunFolder

SHOWN = 1000
"""Places that the manifest names of each kind of answer that was left out."""


@dataclass(frozen=True)
class Source:
    """One file, and how it is read."""

    path: Path
    format: Format
    about: About

    @classmethod
    def open(cls, path: Path, name: str | None, named: Mapping[str, str]) -> Source:
        """By its first row that can be read; raises ViubenchError where there is none."""
        first = next((row for _, row in rows(path) if not isinstance(row, Unreadable)), None)
        if first is None:
            raise ViubenchError("no row of the file can be read", where=str(path))
        found = columns.with_columns(named) if named else formats.named(name) if name else formats.recognised(first)
        return cls(path, found, found.about(first, path))

    def answers(self) -> Iterator[FileAnswer | Unreadable]:
        """What is in the file, in order."""
        for place, row in rows(self.path):
            if isinstance(row, Unreadable):
                yield row
            else:
                yield from self.format.answers(row, place)


@dataclass
class Survey:
    """What the first reading found: a decision on each answer of each file, and the counts."""

    decisions: list[list[Decision]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    unmatched: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[int, dict[int, str]] = field(default_factory=dict)
    """By the place of a sample: number of the answer -> digest of its words."""

    def example(self, kind: str, where: str) -> None:
        places = self.examples.setdefault(kind, [])
        if len(places) < SHOWN:
            places.append(utf8(where))

    def matching(self, plan: Plan) -> Matching:
        missing = [sample.id for place, sample in enumerate(plan.samples) if place not in self.numbers]
        for name in missing[:SHOWN]:
            self.example("missing", name)
        return Matching(
            matched=dict(self.matched),
            unmatched=dict(self.unmatched),
            missing=len(missing),
            examples=self.examples,
            **self.counts,
        )


def import_files(
    files: Sequence[Path],
    config: EvalConfig,
    *,
    format: str | None = None,  # noqa: A002  (the word of the command line)
    named: Mapping[str, str] | None = None,
    model: str | None = None,
    rules: Sequence[str] = (),
    partial: bool = False,
) -> tuple[Imported, Results]:
    """Read the files, match their answers with the task's questions, score them, write the run folder of `config`.

    Args:
        format: one of `formats.FORMATS`; told by the content where None.
        named: columns by what they are used as, for plain tables.
        model: name to show; what the files say by default.
        rules: published rules beside those of the task.
        partial: keep only the questions that are answered; else the others count as wrong.

    Raises:
        ViubenchError: a file or an option that cannot be read, data that is missing, or no answer that belongs to a
            question.
    """
    sources = [Source.open(path, format, named or {}) for path in files]
    with RunFolder.claim(config.run_folder, fresh=not config.resume) as folder:
        if config.resume and (folder.path / "manifest.json").exists():
            raise ViubenchError(f"{folder.path} holds a run", where="--out", hint="name a new folder, or add --fresh")
        plan = plan_run(config, None)
        survey = first_reading(sources, plan)
        if not survey.numbers:
            raise _nothing_matched(survey, config)
        matching = survey.matching(plan)
        if partial:
            plan, survey = narrowed(plan, survey)
            matching = matching.model_copy(update={"missing": 0})
        plan = with_rules(plan, rules)
        protocols = {task: _protocol(sources, survey) for task in plan.protocols}
        plan = replace(plan, protocols=protocols)
        imported = _imported(sources, survey, matching)
        name = model or next((source.about.model for source in sources if source.about.model), files[0].stem)
        manifest = _manifest(plan, imported, utf8(name), config)
        folder.begin(manifest)
        for record in records(sources, survey, plan):
            folder.append(record)
        results = summarise(record_log.read(folder.path, ScoredRecord), manifest)
        folder.write_results(results)
    return imported, results


def first_reading(sources: Sequence[Source], plan: Plan) -> Survey:
    """Read every file once and decide what each answer belongs to."""
    survey = Survey()
    index = QuestionIndex([sample.question for sample in plan.samples])
    for source in sources:
        matcher, words = Matcher(plan.samples, plan.evaluators, index), []
        for answer in source.answers():
            if isinstance(answer, Unreadable):
                survey.counts["unreadable"] += 1
                survey.example("unreadable", f"{source.path.name}, {answer.place}: {answer.reason}")
                continue
            matcher.note(answer, source.about.task)
            words.append((answer.place, answer.number, [_digest(answer, text) for text in answer.texts or ("",)]))
        decided = matcher.decide()
        survey.decisions.append(
            [
                _kept(survey, decision, f"{source.path.name}, {place}", number, digests)
                for decision, (place, number, digests) in zip(decided, words, strict=True)
            ]
        )
    return survey


def _kept(survey: Survey, decision: Decision, where: str, number: int, digests: Sequence[str]) -> Decision:
    """The decision, counted; none for an answer that its question has already."""
    if decision.sample < 0:
        survey.unmatched[decision.reason] += 1
        survey.example("unmatched", f"{where}: {decision.reason}")
        return decision
    there = survey.numbers.setdefault(decision.sample, {})
    if number in there:
        kind = "repeated" if there[number] == digests[0] else "conflicting"
        survey.counts[kind] += 1
        survey.example(kind, where)
        return Decision(-1, reason=kind)
    there.update({number + at: digest for at, digest in enumerate(digests)})
    survey.matched[decision.key] += 1
    survey.counts["unconfirmed"] += not decision.confirmed
    return decision


def _digest(answer: FileAnswer, text: str) -> str:
    return hashlib.sha256(f"{answer.failure}\0{utf8(text)}".encode()).hexdigest()[:16]


def narrowed(plan: Plan, survey: Survey) -> tuple[Plan, Survey]:
    """Both with the answered questions alone."""
    kept = sorted(survey.numbers)
    at = {old: new for new, old in enumerate(kept)}
    samples = [plan.samples[place] for place in kept]
    entries = {}
    for task, entry in plan.entries.items():
        own = [sample for sample in samples if sample.task == task]
        if own:
            baselines, _ = planning.entry(plan.tasks[task], own, entry.revision)
            entries[task] = baselines
    decisions = [
        [one._replace(sample=at[one.sample]) if one.sample >= 0 else one for one in of_file]
        for of_file in survey.decisions
    ]
    fewer = replace(survey, decisions=decisions, numbers={at[old]: survey.numbers[old] for old in kept})
    tasks = {task: plan.tasks[task] for task in entries}
    protocols = {task: plan.protocols[task] for task in entries}
    return replace(plan, samples=samples, entries=entries, tasks=tasks, protocols=protocols, suites=()), fewer


def with_rules(plan: Plan, rules: Sequence[str]) -> Plan:
    """The plan with these published rules beside each task's own."""
    if not rules:
        return plan
    try:
        found = [get_rule(name) for name in rules]
    except LookupError as error:
        raise ViubenchError(str(error.args[0]), where="--rule") from None
    every = {task: tuple(dict.fromkeys((*plan.rules.get(task, ()), *found))) for task in plan.protocols}
    entries = {
        task: entry.model_copy(update={"alternatives": [rule.name for rule in every[task]]})
        for task, entry in plan.entries.items()
    }
    return replace(plan, rules=every, entries=entries)


def records(sources: Sequence[Source], survey: Survey, plan: Plan) -> Iterator[Record]:
    """The second reading: a record of every answer that belongs to a question, then of every one that is missing."""
    for source, decisions in zip(sources, survey.decisions, strict=True):
        read = (answer for answer in source.answers() if isinstance(answer, FileAnswer))
        for answer, decision in zip(read, decisions, strict=True):
            if decision.sample >= 0:
                yield from _records_of(answer, decision, plan, source.path.name)
    most = max(len(numbers) for numbers in survey.numbers.values())
    for place, sample in enumerate(plan.samples):
        for number in range(most):
            if number not in survey.numbers.get(place, {}):
                detail = "the imported files have no answer to it"
                yield pipeline.failed(Attempt(sample, number), "engine_error", "not_in_file", detail)


def _records_of(answer: FileAnswer, decision: Decision, plan: Plan, name: str) -> Iterator[Record]:
    sample = plan.samples[decision.sample]
    said = FileVerdict(
        place=utf8(f"{name}, {answer.place}"),
        matched=decision.key,
        score=answer.score,
        extracted=utf8(answer.extracted),
    )
    if not answer.texts:
        detail = utf8(answer.failure) or "the file has no response"
        record = pipeline.failed(Attempt(sample, answer.number), "engine_error", "failed_in_file", detail)
        yield record.model_copy(update={"imported": said})
    for at, text in enumerate(answer.texts):
        response = Response(
            utf8(text),
            answer.finish_reason or None,
            usage=answer.usage,
            reasoning=utf8(answer.reasoning),
        )
        record = pipeline.graded(sample, response, plan, None, {}, answer.number + at)
        yield record.model_copy(update={"imported": said})


def _protocol(sources: Sequence[Source], survey: Survey) -> Protocol:
    """The protocol as far as the files tell it: named like the harness, with the decoding they name."""
    first = sources[0].about
    decoding = {key: value for source in sources for key, value in source.about.decoding.items()}
    decoding["samples"] = max(len(numbers) for numbers in survey.numbers.values())
    return Protocol.model_validate({"protocol": first.harness, "decoding": decoding})


def _imported(sources: Sequence[Source], survey: Survey, matching: Matching) -> Imported:
    files = []
    for source, decisions in zip(sources, survey.decisions, strict=True):
        with source.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        about = source.about
        files.append(
            ImportedFile(
                name=utf8(source.path.name),
                sha256=digest,
                bytes=source.path.stat().st_size,
                format=source.format.name,
                answers=len(decisions),
                harness=about.harness,
                version=utf8(about.version),
                model=utf8(about.model),
                task=utf8(about.task),
            )
        )
    settings = {utf8(key): value for source in sources for key, value in source.about.settings.items()}
    return Imported(files=files, matching=matching, settings=_json(settings))


def _json(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: utf8(value) if isinstance(value, str) else value for key, value in sorted(settings.items())}


def _manifest(plan: Plan, imported: Imported, model: str, config: EvalConfig) -> Manifest:
    """The manifest; the hash of a protocol is of the harness and the settings, whatever they are called here."""
    manifest = planning.manifest(plan, AnswersEngine(model), config)
    told = {"harness": imported.files[0].harness, **imported.settings}
    protocols = {
        task: ProtocolEntry(
            **dict(protocol),
            recorded_hash=content_hash({"imported": told, "protocol": protocol.hash()}),
            imported=told,
        )
        for task, protocol in plan.protocols.items()
    }
    version = imported.files[0].version
    engine = {"kind": "imported", "harness": imported.files[0].harness, **({"version": version} if version else {})}
    return manifest.model_copy(update={"engine": engine, "protocols": protocols, "imported": imported})


def _nothing_matched(survey: Survey, config: EvalConfig) -> ViubenchError:
    reasons = [f"{count} answers: {reason}" for reason, count in survey.unmatched.most_common(2)]
    if survey.counts["unreadable"]:
        reasons.append(survey.examples["unreadable"][0])
    tasks = ", ".join(map(str, config.names))
    return ViubenchError(
        f"no answer belongs to a question of {tasks}; {'; '.join(reasons)}",
        hint="name the task they were made for with --task, and its data with --data-root",
    )
