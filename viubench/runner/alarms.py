"""Whether answers arrive: a run whose model is cut off, misread or refuses says so while it can still be stopped.

Example:
    alarm = Alarm(plan)
    alarm.add(record)  # "" until too many answers cannot be used, then once:
    # 'few answers arrive: 14 of 16 cannot be used (truncated 14), such as count-3, which ends "But wait" (finish ...'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from viubench.runner.plan import Plan
from viubench.schema import ANSWERED, Protocol, Record, Results, Status
from viubench.storage import record_log
from viubench.storage.run_dir import read_manifest

LEAST = 16
"""Answers after which the first word is given."""

ALARMING = 0.5
"""Share of answers that were given and cannot be used, above which a run says so at once."""

WORTH_A_WORD = 0.1
"""Share of answers that are not `ok`, above which the end of a run says so."""

UNUSABLE: tuple[Status, ...] = ("truncated", "unparsed", "refused")

REMEDIES: dict[Status, str] = {
    "unparsed": "look at the responses in records.jsonl: they have not the form that the prompt asks for",
    "refused": "look at the responses in records.jsonl: the model or a filter declines to answer",
    "media_error": "records.jsonl says of each which video it is and why",
    "engine_error": "rerun the same command: engine errors are tried again",
    "unjudged": "rules cannot score them: viubench judge RUN --judge MODEL asks a judge",
    "judge_error": "look at the verdicts in records.jsonl: they have not the form that the judge was asked for",
}

IMPORTED = {
    "not_in_file": "import the file that has them too, or leave them out with --partial",
    "failed_in_file": "the harness that wrote the file failed there",
}
"""Of engine errors in what another harness wrote, by their fault."""

END = 80
"""Characters of a response that are quoted."""


class Alarm:
    """Counts the records of a run, and gives one line when too many answers cannot be used."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen = 0
        self.unusable: Counter[Status] = Counter()
        self.examples: dict[Status, Record] = {}
        self.given = False

    def add(self, record: Record) -> str:
        """Count a record; the line, once, when it is time for it, else ""."""
        self.seen += 1
        if record.status in UNUSABLE:
            self.unusable[record.status] += 1
            self.examples.setdefault(record.status, record)
        if self.given or self.seen < LEAST or self.unusable.total() <= ALARMING * self.seen:
            return ""
        self.given = True
        example = self.examples[self.unusable.most_common(1)[0][0]]
        protocol = self.plan.protocols[example.task]
        return f"few answers arrive: {_line(self.unusable, self.seen, example, protocol)}"


def closing(out: Path, results: Results) -> str:
    """What the end of a run says of its answers, with an example from the run folder `out`; "" where enough are ok."""
    counts: Counter[Status] = Counter()
    for task in results.tasks.values():
        counts.update(task.statuses)  # type: ignore[arg-type]
    total = counts.total()
    lost: Counter[Status] = Counter({status: n for status, n in counts.items() if status not in ANSWERED})
    if lost.total() <= WORTH_A_WORD * total:
        waiting = counts["unjudged"]
        return f"{waiting} answers have no score: {REMEDIES['unjudged']}" if waiting else ""
    worst = lost.most_common(1)[0][0]
    example = next((record for record in record_log.read(out, Record) if record.status == worst), None)
    if example is None:
        return ""
    return _line(lost, total, example, read_manifest(out).protocols[example.task])


def _line(lost: Mapping[Status, int], total: int, example: Record, protocol: Protocol) -> str:
    counts = ", ".join(f"{status.replace('_', ' ')} {n}" for status, n in lost.items())
    return (
        f"{sum(lost.values())} of {total} answers cannot be used ({counts}), such as {example.id}, {_end(example)}; "
        f"{_remedy(example, protocol)}"
    )


def _end(record: Record) -> str:
    """How an answer that cannot be used ends."""
    if record.error is not None:
        return f"whose error is {record.error.detail!r:.200}"
    said = record.response if (record.response or "").strip() else record.reasoning
    if not (said or "").strip():
        return f"which is empty (finish reason: {record.finish_reason})"
    thinking = " while it thinks" if said is record.reasoning else ""
    return f"which ends {str(said).rstrip()[-END:]!r}{thinking} (finish reason: {record.finish_reason})"


def _remedy(record: Record, protocol: Protocol) -> str:
    if record.error is not None and record.error.fault in IMPORTED:
        return IMPORTED[record.error.fault]
    if record.status != "truncated":
        return REMEDIES[record.status]
    longer = f"raise --max-tokens (now {protocol.decoding.max_tokens})"
    return f"{longer}, or --thinking off where the model can" if record.reasoning else longer
