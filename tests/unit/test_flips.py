"""Which samples turned between two runs, in which order, and which are chosen when not all can be shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired_runs import Row, rows, write

from viubench import compare_runs
from viubench.comparison.report import Flip, flips, largest
from viubench.schema import Record
from viubench.video.filmstrip import strip_path

IOU = {"name": "temporal_iou", "params": {}}


def turned(tmp_path: Path, before: list[Row], after: list[Row], **kind: object) -> list[Flip]:
    a, b = write(tmp_path / "a", {"t": before}, **kind), write(tmp_path / "b", {"t": after}, **kind)  # type: ignore[arg-type]
    return flips(compare_runs(a, b).tasks.values())


def told(found: list[Flip]) -> list[tuple[str, str]]:
    return [(flip.direction, flip.a.id) for flip in found]


def test_right_and_wrong_turn_and_no_answer_is_wrong(tmp_path: Path) -> None:
    found = turned(tmp_path, rows([1.0, 0.0, 1.0, 0.0, None, 1.0]), rows([1.0, 0.0, 0.0, 1.0, 1.0, None]))
    assert told(found) == [("wrong", "t-00002"), ("right", "t-00003"), ("right", "t-00004"), ("wrong", "t-00005")]
    assert (found[3].a.status, found[3].b.status, found[3].score_b, found[3].size) == ("ok", "unparsed", 0.0, 1.0)


def test_a_graded_score_turns_from_half_on_and_the_largest_comes_first(tmp_path: Path) -> None:
    before, after = [0.2, 0.9, 0.4, 1.0, 0.5], [0.69, 0.1, 0.9, 0.51, 1.0]
    found = turned(tmp_path, rows(before), rows(after), evaluator=IOU)
    assert told(found) == [("wrong", "t-00001"), ("right", "t-00002"), ("right", "t-00004")]
    assert [round(flip.size, 9) for flip in found] == [0.8, 0.5, 0.5]


def test_of_one_size_the_group_then_the_id_decides(tmp_path: Path) -> None:
    def grouped(score: float) -> list[Row]:
        return [
            Row(str(k), score, f"v{k}", groups={"level": level}) for k, level in enumerate(("hard", "easy", "easy"))
        ]

    assert told(turned(tmp_path, grouped(0.0), grouped(1.0))) == [
        ("right", "t-1"),
        ("right", "t-2"),
        ("right", "t-0"),
    ]


def flip(task: str, name: str, before: float, after: float) -> Flip:
    a, b = (Record(task=task, id=name, cluster="v", status="ok") for _ in "ab")
    return Flip(a, b, before, after)


def test_few_are_chosen_of_each_task_and_way_those_with_frames_first(tmp_path: Path) -> None:
    found = [flip("t", f"r{k}", 0, 1) for k in range(4)] + [flip("t", "w0", 1, 0), flip("u", "u0", 1, 0)]
    strip = strip_path(tmp_path, "r2")
    strip.parent.mkdir()
    strip.write_bytes(b"")
    assert [chosen.a.id for chosen in largest(found, 2)] == ["r0", "r1", "w0", "u0"]
    assert [chosen.a.id for chosen in largest(found, 2, [tmp_path / "none", tmp_path])] == ["r0", "r2", "w0", "u0"]
    smaller = [flip("t", "r1", 0, 1), flip("t", "r2", 0.25, 1)]
    assert [chosen.a.id for chosen in largest(smaller, 1, [tmp_path])] == ["r1"], "size comes before frames"
    assert largest(found, 0) == []


@given(
    st.lists(st.tuples(st.sampled_from("tu"), st.sampled_from([(0.0, 1.0), (1.0, 0.0), (0.25, 1.0)]))),
    st.integers(0, 5),
)
def test_the_chosen_are_the_largest_and_keep_their_order(
    kinds: list[tuple[str, tuple[float, float]]], most: int
) -> None:
    found = [flip(task, str(k), *scores) for k, (task, scores) in enumerate(kinds)]
    chosen = largest(found, most)
    assert [one.a.id for one in found if one in chosen] == [one.a.id for one in chosen]
    for task in "tu":
        for way in ("right", "wrong"):
            kept = [one.size for one in chosen if (one.a.task, one.direction) == (task, way)]
            every = [one.size for one in found if (one.a.task, one.direction) == (task, way)]
            assert sorted(kept) == sorted(every)[len(every) - len(kept) :]
            assert len(kept) == min(most, len(every))


@pytest.mark.parametrize(("before", "after", "way"), [(1.0, 0.0, "wrong"), (0.3, 0.9, "right")])
def test_the_way_is_where_it_turned_to(before: float, after: float, way: str) -> None:
    assert flip("t", "x", before, after).direction == way
