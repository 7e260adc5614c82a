"""The shapes of a counting item, kept beside its filmstrip: in its frames, where they were painted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import data_of, write_run

from reports.pages.leaderboard_page import write
from viubench.pretext import drawn_shapes, generate
from viubench.schema import CountItem, Kind, Record, Shape
from viubench.storage import record_log
from viubench.video.filmstrip import strip_path
from viubench.video.frames import VideoInput

FRAMES = 48
TIMES = tuple(float(k) for k in range(FRAMES + 1))


def item(shapes: list[Shape], canvas: tuple[int, int]) -> CountItem:
    return CountItem(
        content="0" * 32, frames=FRAMES, indices=tuple(range(FRAMES)), times=TIMES, max_frames=4, max_instances=2,
        kinds=("circle", "square", "triangle"), canvas=canvas, shapes=tuple(shapes),
    )  # fmt: skip


def shape(kind: Kind, frame: int, x: float = 0.1, y: float = -0.2, angle: int = 20) -> Shape:
    return Shape(shape=kind, frame=frame, x=x, y=y, size=0.3, angle=angle, color=(255, 0, 0))


def black(size: tuple[int, int]) -> VideoInput:
    pixels = np.zeros((FRAMES, *size, 3), np.uint8)
    return VideoInput(pixels, 1.0, tuple(range(FRAMES)), TIMES[:-1], FRAMES, float(FRAMES))


@given(st.lists(st.integers(0, 47), max_size=20), st.integers(48, 70), st.integers(1, 14))
def test_frames_with_shapes_come_first_and_the_strip_is_full(first: list[int], frames: int, most: int) -> None:
    found = drawn_shapes.chosen(first, frames, most)
    assert found == sorted(set(found))
    assert len(found) == most
    assert set(found) <= set(first) or set(first) <= set(found)
    assert all(0 <= k < frames for k in found)


@pytest.mark.parametrize("kind", ["circle", "square", "triangle"])
@pytest.mark.parametrize("size", [(90, 160), (160, 90)])
def test_an_outline_holds_what_was_painted_and_little_else(kind: Kind, size: tuple[int, int]) -> None:
    one = shape(kind, 7)
    (video,) = generate.apply(item([one], size), 0, [black(size)])
    rows, columns = np.nonzero(video.pixels[7].any(axis=2))
    left, top, width, height = np.array(drawn_shapes.outline(one, size).box) * [size[1], size[0], size[1], size[0]]
    assert left - 1 <= columns.min() <= columns.max() <= left + width + 1
    assert top - 1 <= rows.min() <= rows.max() <= top + height + 1
    assert width * height < 3.5 * len(rows)


def test_the_page_has_the_shapes_at_the_frames_of_the_strip(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tasks=["viubench_count_easy"], suite=False, n=2, measured=True)
    record = next(record_log.read(run, Record))
    shapes = [shape("circle", 29), shape("square", 30)]
    (video,) = generate.apply(item(shapes, (90, 160)), 0, [black((90, 160))])
    drawn_shapes.write_strip(strip_path(run, record.id), item(shapes, (90, 160)), [video])
    write([run], tmp_path / "page.html", [])
    sample = next(one for one in data_of((tmp_path / "page.html").read_text())["samples"] if one["id"] == record.id)
    assert [one["name"] for one in sample["shapes"]] == ["circle", "square"]
    seconds = record.frames.times if record.frames else []
    strip = cv2.imread(str(strip_path(run, record.id)))
    assert strip is not None
    for one, frame in zip(sample["shapes"], (29, 30), strict=True):
        assert sample["seconds"][one["at"]] == seconds[frame]
        assert strip[:, one["at"] * 160 : (one["at"] + 1) * 160].max() > 100
    assert strip[:, :160].max() < 50


@pytest.mark.parametrize(
    "text", ["", "{}", '{"frames":[1,99],"shapes":[]}', '{"frames":[2,1],"shapes":[]}', "x" * 10**6]
)
def test_a_file_that_does_not_fit_is_none(tmp_path: Path, text: str) -> None:
    path = strip_path(tmp_path, "a").with_suffix(".json")
    path.parent.mkdir()
    path.write_text(text)
    assert drawn_shapes.read(tmp_path, "a", 48) is None


def test_a_file_outside_the_run_is_none(tmp_path: Path) -> None:
    other, path = tmp_path / "other.json", strip_path(tmp_path / "run", "a").with_suffix(".json")
    other.write_text('{"frames":[1,2],"shapes":[]}')
    path.parent.mkdir(parents=True)
    path.symlink_to(other)
    assert drawn_shapes.read(tmp_path / "run", "a", 48) is None
