"""Columns against plain lists of the same rows."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import Scored
from viubench.scoring.columns import Columns, Filling, Lazy

SCORES = st.dictionaries(st.sampled_from(["iou", "exact"]), st.floats(0, 1))
GROUPS = st.dictionaries(st.sampled_from("kl"), st.sampled_from(["x", "y", ("x", "z")]))
ROWS = st.lists(st.builds(Scored, SCORES, st.sampled_from("abc"), GROUPS), min_size=1, max_size=20)


@given(ROWS)
def test_rows_come_back_as_they_were_put_in(rows: list[Scored]) -> None:
    columns = Columns.of(rows)
    assert list(columns) == rows
    assert columns[1:] == rows[1:]
    assert columns[-1] == rows[-1]
    assert Columns.of(columns) is columns
    assert list(columns.take(range(len(rows) - 1, -1, -1))) == rows[::-1]


@given(ROWS)
def test_sums_by_column_are_those_by_row(rows: list[Scored]) -> None:
    columns = Columns.of(rows)
    assert columns.score("iou").tolist() == [row.scores.get("iou", 0.0) for row in rows]
    keys = {key for row in rows for key in row.scores}
    means = {key: sum(row.scores.get(key, 0.0) for row in rows) / len(rows) for key in keys}
    assert columns.means() == pytest.approx(means)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for key, labels in row.groups.items():
            for label in labels:  # of one letter each, so that a text is a tuple of itself
                found[key][label].append(row.scores.get("iou", 0.0))
    breakdown = columns.breakdown("iou")
    assert {key: {label: n for label, (_, n) in own.items()} for key, own in breakdown.items()} == {
        key: {label: len(values) for label, values in own.items()} for key, own in found.items()
    }
    for key, own in found.items():
        for label, values in own.items():
            assert breakdown[key][label][0] == pytest.approx(sum(values) / len(values))
    assert columns.single() == [k for k in ("k", "l") if all(isinstance(row.groups.get(k), str) for row in rows)]


def test_a_row_without_the_group_that_is_averaged_over_is_an_error() -> None:
    columns = Columns.of([Scored({}, "a", {"k": "x"}), Scored({}, "b", {})])
    with pytest.raises(KeyError):
        columns.labels("k")
    assert [rows.tolist() for rows in columns.take([0]).labels("k").values()] == [[0]]


def test_equal_videos_and_groups_are_held_once() -> None:
    filling = Filling()
    for number in range(1000):
        filling.append({"iou": 0.5}, f"video {number % 2}", {"k": f"{number % 3}"})
    columns = filling.columns()
    assert len({id(video) for video in columns.clusters}) == 2
    assert len(columns.groups) == 3


def test_a_lazy_sequence_makes_only_what_is_looked_at() -> None:
    made: list[int] = []
    lazy = Lazy(1_000_000, lambda index: made.append(index) or index)  # type: ignore[func-returns-value]
    assert (lazy[5], lazy[-1], lazy[2:4], made) == (5, 999_999, [2, 3], [5, 999_999, 2, 3])
    with pytest.raises(IndexError):
        lazy[1_000_000]
