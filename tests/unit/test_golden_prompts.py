"""No prompt changes unnoticed: what each task asks, and how each family of models is shown it, is what is kept."""

from __future__ import annotations

import json
from typing import Any

import golden_prompts
import pytest
from golden_prompts import CATALOGUE, GOLDEN

from viubench.engines import tiny_checkpoints

TASKS: dict[str, Any] = json.loads((GOLDEN / "tasks.json").read_text(encoding="utf-8"))
FAMILIES: dict[str, Any] = json.loads((GOLDEN / "families.json").read_text(encoding="utf-8"))
NEEDS = {"smolvlm": "num2words", "perception_lm": "timm"}


def test_every_task_and_family_is_kept() -> None:
    """Else: python tests/unit/golden_prompts.py"""
    assert list(TASKS) == sorted(CATALOGUE.task_files)
    assert list(FAMILIES) == sorted(tiny_checkpoints.names())


@pytest.mark.parametrize("name", TASKS)
def test_a_task_asks_what_it_asked(name: str) -> None:
    """Also of a pretext task: which items are drawn, and the hashes of their frames."""
    assert golden_prompts.of_task(CATALOGUE.task(name)) == TASKS[name]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_shown_what_it_was_shown(name: str) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip(NEEDS.get(name, "transformers"))
    assert golden_prompts.of_family(name) == FAMILIES[name]
