"""docs/explained.md against the code that draws it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from viubench.tasks.registry import Catalogue

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "explained.md").read_text()


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("explained_pictures", DOCS / "site" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def part(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n(.*?)\n<!-- /{mark} -->", PAGE, re.S)
    assert found, mark
    return found[1]


def test_the_tables_are_what_the_evaluators_say(pictures: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, video = Catalogue(), pictures.clip()
    assert part("answers") == pictures.answers(catalogue, video), "make explained"
    monkeypatch.setattr(pictures, "ITEMS", 3)
    few, whole = (table.splitlines() for table in (pictures.chances(catalogue, video), part("chances")))
    assert [(row.split(" | ")[0], row.split(" | ")[3]) for row in few] == [
        (row.split(" | ")[0], row.split(" | ")[3]) for row in whole
    ]


def test_the_pictures_are_what_the_code_draws(pictures: ModuleType) -> None:
    catalogue, video = Catalogue(), pictures.clip()
    for name, draw in pictures.PICTURES.items():
        assert f"](explained/{name}.jpg)" in PAGE
        kept = cv2.cvtColor(cv2.imread(str(DOCS / "explained" / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
        drawn = draw(catalogue, video)
        assert kept.shape == drawn.shape
        assert np.abs(kept.astype(int) - drawn).mean() < 6, f"make explained: {name}"
        assert (DOCS / "explained" / f"{name}.jpg").stat().st_size < 200_000
