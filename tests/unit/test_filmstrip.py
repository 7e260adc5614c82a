from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.video import filmstrip
from viubench.video.frames import VideoInput


def flat_video(values: list[int], height: int = 40, width: int = 60) -> VideoInput:
    pixels = np.stack([np.full((height, width, 3), value, np.uint8) for value in values])
    count = len(values)
    return VideoInput(pixels, 1.0, tuple(range(count)), tuple(map(float, range(count))), count, float(count))


@given(st.integers(1, 2000), st.integers(2, 40))
def test_positions_rise_and_hold_both_ends(frames: int, most: int) -> None:
    found = filmstrip.positions(frames, most)
    assert found == sorted(set(found))
    assert len(found) == min(frames, most)
    assert (found[0], found[-1]) == (0, frames - 1)


def test_positions_are_even() -> None:
    steps = np.diff(filmstrip.positions(48))
    assert steps.max() - steps.min() <= 1
    assert filmstrip.positions(5, most=1) == [0]
    with pytest.raises(ValueError, match="above 0"):
        filmstrip.positions(0)


def test_strip_holds_the_frames_of_all_videos_in_order(tmp_path: Path) -> None:
    target = tmp_path / "strips" / "a.jpg"
    filmstrip.write(target, [flat_video([0, 60]), flat_video([120, 240])])
    image = cv2.imread(str(target))
    assert image.shape == (40, 4 * 60, 3)  # as they are: none is above the most
    middles = [int(image[20, 30 + 60 * k, 0]) for k in range(4)]
    assert np.allclose(middles, [0, 60, 120, 240], atol=4)
    assert [path.name for path in target.parent.iterdir()] == ["a.jpg"]


def test_colours_are_not_swapped(tmp_path: Path) -> None:
    video = flat_video([0])
    video.pixels[..., 0] = 250  # red in RGB
    filmstrip.write(tmp_path / "a.jpg", [video])
    blue, _, red = cv2.imread(str(tmp_path / "a.jpg"))[20, 30]
    assert red > 200
    assert blue < 50


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    video = flat_video(list(range(0, 240, 5)))
    filmstrip.write(tmp_path / "a.jpg", [video])
    filmstrip.write(tmp_path / "b.jpg", [video])
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_a_panorama_does_not_make_an_endless_strip(tmp_path: Path) -> None:
    filmstrip.write(tmp_path / "a.jpg", [flat_video([1, 2], height=432, width=8000)])
    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (216, 2 * 864, 3)


def test_no_video_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        filmstrip.write(tmp_path / "a.jpg", [])


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() or "/" in text))
def test_a_record_id_never_leaves_the_strips_folder(record_id: str) -> None:
    path = filmstrip.strip_path(Path("/run"), record_id)
    assert path.parent == Path("/run/strips")
    assert path.name not in (".jpg", "..jpg")


def test_plain_ids_keep_their_name() -> None:
    assert filmstrip.strip_path(Path("run"), "a1-b2_c.d") == Path("run/strips/a1-b2_c.d.jpg")
    assert filmstrip.strip_path(Path("run"), "../x") == Path("run/strips/%2E%2E%2Fx.jpg")
