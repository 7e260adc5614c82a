"""Vinoground: the text and the video questions of 500 counterfactual pairs, joined with the table of their categories.

Example: one row of the two JSON files, with what the table says of its pair,

    {"idx": "612_pos", "pair": "612", "side": "pos", "kind": "text", "major": "object", "minor": ["spatial"], ...}

The JSON files may lie beside the video folders (publisher) or inside (lmms-eval): a question in both is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from viubench.datasets.adapters import RowFile

KINDS = {"vinoground_textscore": "text", "vinoground_videoscore": "video"}
TABLE = "vinoground"


def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question: `idx`, `video_name`, `question`, `GT` as published, and also `kind` (text, video), `pair`,
    `side` (pos, neg), `index` (lmms-eval's: pair_side_kind), `major` and `minor` (a list, empty when there is none).

    Raises ValueError where `vinoground.csv` is missing or lacks a pair, or an index is no `<pair>_pos` or `<pair>_neg`.
    """
    table = {str(row["index"]): row for file in files if file.stem == TABLE for row in file.content}
    if not table:
        raise ValueError(f"{TABLE}.csv, which names the categories of the pairs, is not there")
    seen: dict[str, str] = {}
    for file in (file for file in files if file.stem in KINDS):
        kind = KINDS[file.stem]
        for index, row in enumerate(file.content):
            pair, _, side = row["idx"].partition("_")
            if side not in ("pos", "neg") or pair not in table:
                raise ValueError(f"{file.path}: no pair of {TABLE}.csv has the clip {row['idx']!r}")
            name = f"{pair}_{side}_{kind}"
            if seen.setdefault(name, file.path) != file.path:
                continue
            minor = table[pair]["minor"] or ""
            yield row | {
                "kind": kind,
                "pair": pair,
                "side": side,
                "index": name,
                "major": table[pair]["major"],
                "minor": [part.strip() for part in minor.split(";") if part.strip()],
                **file.place(index),
            }
