"""What `viubench import` and `viubench explain-difference` print, as plain text.

Example:
    print("\\n".join(matching_lines(run.manifest.imported)))
"""

from __future__ import annotations

from tabulate import tabulate

from viubench.cli.tables import percent
from viubench.imports.explaining import Difference, Differences
from viubench.schema import Imported

EXAMPLES = 3
WIDE = 40


def matching_lines(imported: Imported) -> list[str]:
    """The files, and what became of their answers; nothing is left out in silence."""
    matching = imported.matching
    lines = []
    for file in imported.files:
        told = ", ".join(filter(None, (f"{file.harness} {file.version}".strip(), file.model, file.task)))
        lines.append(f"{file.name}: {file.answers} answers, format {file.format} ({told})")
    ways = ", ".join(f"{count} by {key}" for key, count in matching.matched.items())
    lines.append(f"matched: {sum(matching.matched.values())} answers ({ways})")
    if matching.unconfirmed:
        lines.append(f"  {matching.unconfirmed} of them without a question or true answer to check them by")
    faults = {
        "unmatched": (sum(matching.unmatched.values()), "belong to no question"),
        "repeated": (matching.repeated, "are there again, word for word"),
        "conflicting": (matching.conflicting, "answer a question again in other words; the first one counts"),
        "unreadable": (matching.unreadable, "are rows that cannot be read"),
        "missing": (matching.missing, "questions have no answer and count as wrong (--partial leaves them out)"),
    }
    for kind, (count, what) in faults.items():
        if count:
            lines.append(f"{kind}: {count} {what}")
            shown = matching.examples.get(kind, [])[:EXAMPLES]
            lines += [f"  {one}" for one in shown] + (["  ..."] if count > len(shown) else [])
    return lines


def differences_text(found: Differences, show: int) -> str:
    """The mean of each score, the samples by reason, and the first differences."""
    means = [
        [task, *(percent(mean[key]) for key in ("strict", "rule", "file")), found.rules.get(task) or "none"]
        for task, mean in found.means.items()
    ]
    total = sum(found.counts.values())
    reasons = [[count, percent(count / total), reason] for reason, count in found.counts.items()]
    parts = [
        tabulate(means, ["task", "strict", "rule", "file", "the rule"], disable_numparse=True),
        tabulate(reasons, ["samples", "%", "reason"], disable_numparse=True),
    ]
    if shown := found.samples[:show]:
        headers = ["sample", "strict", "rule", "file", "we read", "file read", "true", "response"]
        parts.append(tabulate(map(_row, shown), headers, disable_numparse=True))
        if len(found.samples) > show:
            parts.append(f"{len(found.samples) - show} more: --show N, --csv FILE or --json FILE")
    return "\n\n".join(parts)


def _row(one: Difference) -> list[str]:
    scores = [_score(score) for score in (one.strict, one.rule, one.file)]
    name = one.id if one.number == 0 else f"{one.id} #{one.number}"
    texts = (one.answer or one.status, one.extracted, one.target, one.response)
    return [name, *scores, *(_short(text) for text in texts)]


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}".removesuffix(".00")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDE else f"{line[: WIDE - 3]}..."
