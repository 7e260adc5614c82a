"""What lmms-eval calls for the tasks of this folder, which `viubench export lmms-eval` wrote.

The answers are read and scored by viubench itself, which has to be installed where lmms-eval is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

try:
    from viubench.export import lmms_scoring
except ImportError as error:
    raise ImportError(
        f"these tasks are scored by viubench, which cannot be imported here ({error}): "
        "pip install viubench into the environment that lmms-eval runs in"
    ) from error

FOLDER = Path(__file__).resolve().parent


def doc_to_visual(doc: dict[str, Any]) -> list[Any]:
    return lmms_scoring.visuals(doc, FOLDER)


def doc_to_text(doc: dict[str, Any]) -> str:
    return lmms_scoring.text(doc)


def doc_to_messages(doc: dict[str, Any]) -> list[dict[str, Any]]:
    return lmms_scoring.messages(doc, FOLDER)


def doc_to_target(doc: dict[str, Any]) -> str:
    return str(doc["answer"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    return lmms_scoring.process_results(doc, results, FOLDER)


def aggregate(values: list[dict[str, Any]]) -> float | None:
    return lmms_scoring.aggregate(values, FOLDER)
