"""Cells as people write them: what is written is read again, and nothing else than ValueError is raised."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viubench.tasks import cells

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=1, max_size=6
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(TEXTS)
@settings(max_examples=60)
def test_a_list_of_options_is_read_from_json_and_from_python(texts: list[str]) -> None:
    wanted = [text.strip() for text in texts]
    assert cells.listed(texts) == cells.listed(json.dumps(texts)) == cells.listed(repr(texts)) == wanted


@given(ANY | st.text(alphabet="0123456789:.,;-[]() toABx'\"{}"))
@settings(max_examples=150)
def test_what_cannot_be_read_is_a_value_error(cell: Any) -> None:
    for read in (cells.listed, cells.numbers, cells.seconds, cells.windows, cells.letter, lambda c: cells.letter(c, 1)):
        with suppress(ValueError):
            read(cell)


@given(st.floats(0, 3599).map(lambda second: round(second, 2)), st.floats(0, 60).map(lambda length: round(length, 2)))
@settings(max_examples=60)
def test_an_interval_is_read_however_it_is_written(start: float, length: float) -> None:
    end = start + length
    clock = [f"{int(one // 60)}:{one % 60:.2f}" for one in (start, end)]
    for written in ([start, end], f"[{start!r}, {end!r}]", f"{start:.2f}-{end:.2f}", " to ".join(clock), [clock]):
        assert cells.windows(written) == [[pytest.approx(start, abs=0.01), pytest.approx(end, abs=0.01)]]


def test_a_hole_between_options_is_refused() -> None:
    with pytest.raises(ValueError, match="option 2 is empty"):
        cells.listed(["a", "", "c"])
    assert cells.listed(["a", "b", "", None]) == ["a", "b"]
