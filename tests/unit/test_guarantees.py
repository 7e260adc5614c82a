"""Every promise of docs/guarantees.md names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_promise_names_its_test() -> None:
    promised, _, _ = PAGE.partition("## What cannot be promised")
    lines = [line for line in promised.splitlines() if line.startswith("- ")]
    assert len(lines) > 20
    assert [line for line in lines if not re.search(r"`tests/[\w/]+\.py::\w+`$", line)] == []
