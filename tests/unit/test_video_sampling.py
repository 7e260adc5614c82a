"""Sampling: which frames, when, how large."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.errors import MediaError, ViubenchError
from viubench.schema import Resize, Sampling
from viubench.video.sampling import choose, edges, fit

gaps = st.lists(st.floats(0.004, 0.5), min_size=1, max_size=300)


def timeline(steps: list[float]) -> tuple[np.ndarray, float]:
    times = np.concatenate(([0.0], np.cumsum(steps[:-1])))
    return times, float(times[-1] + np.median(steps))


def test_even_takes_the_centres_of_equal_bins() -> None:
    times = np.arange(1000) / 100
    chosen = choose(times, 10.0, Sampling(frames=9, middle=0.9))
    assert chosen.tolist() == [100, 200, 300, 400, 500, 600, 700, 800, 900]
    assert chosen.dtype == np.int64


@given(gaps, st.integers(1, 48), st.floats(0.2, 1.0))
def test_even_is_nearest_in_time_or_an_error(steps: list[float], frames: int, middle: float) -> None:
    times, duration = timeline(steps)
    asked = [duration * (1 - middle) / 2 + (k + 0.5) * duration * middle / frames for k in range(frames)]
    nearest = [min(range(len(times)), key=lambda i, t=t: (round(abs(times[i] - t), 9), i)) for t in asked]
    sampling = Sampling(frames=frames, middle=middle)
    if len(set(nearest)) < frames:
        with pytest.raises(MediaError) as caught:
            choose(times, duration, sampling)
        assert caught.value.fault == "too_short"
        return
    chosen = choose(times, duration, sampling)
    off = np.abs(times[chosen] - asked)
    best = np.abs(times[nearest] - asked)
    np.testing.assert_allclose(off, best, atol=1e-8)
    assert len(set(chosen.tolist())) == frames
    assert list(chosen) == sorted(chosen)


def test_even_follows_time_not_frame_numbers() -> None:
    """One second at 100 frames a second, then nine at 10: bins of equal time, so few frames of the crowded second."""
    times = np.concatenate([np.arange(100) / 100, 1 + np.arange(90) / 10])
    chosen = times[choose(times, 10.0, Sampling(frames=10, middle=1.0))]
    np.testing.assert_allclose(np.diff(chosen), 1.0, atol=0.051)


def test_too_few_frames_say_how_many() -> None:
    with pytest.raises(MediaError, match=r"a\.mp4: too short \(36 frames in the middle 90 %, 48 asked\)"):
        choose(np.arange(40) / 25, 40 / 25, Sampling(), name="a.mp4")


def test_uneven_frames_that_coincide_are_an_error() -> None:
    times = np.concatenate([np.arange(60) / 1000, [9.9]])
    with pytest.raises(MediaError, match="distinct") as caught:
        choose(times, 10.0, Sampling(frames=5, middle=1.0))
    assert caught.value.fault == "too_short"


@given(gaps, st.integers(1, 64), st.floats(0.1, 60))
def test_fps_keeps_the_ends_the_cap_and_the_rate(steps: list[float], frames: int, fps: float) -> None:
    times, duration = timeline(steps)
    chosen = choose(times, duration, Sampling(kind="fps", frames=frames, fps=fps))
    assert 1 <= len(chosen) <= min(frames, len(times), times[-1] * fps + 1 + 1e-6)
    assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[-1] == len(times) - 1
    assert np.all(np.diff(chosen) > 0)


def test_fps_counts() -> None:
    times = np.arange(251) / 25  # the last frame stands at 10.0 s
    assert len(choose(times, 10.04, Sampling(kind="fps", fps=2, frames=64))) == 21
    assert len(choose(times, 10.04, Sampling(kind="fps", fps=2, frames=8))) == 8
    assert choose(times, 10.04, Sampling(kind="fps", fps=2, frames=64))[:3].tolist() == [0, 12, 25]
    assert choose(times[:1], 0.04, Sampling(kind="fps")).tolist() == [0]


def test_bounds_restrict_the_frames() -> None:
    times = np.arange(250) / 25
    chosen = choose(times, 10.0, Sampling(frames=4, middle=1.0), start=2.0, end=4.0)
    assert chosen.tolist() == [56, 69, 81, 94]
    inside = choose(times, 10.0, Sampling(kind="fps", fps=5, frames=99), start=2.0, end=99.0)
    assert (inside[0], inside[-1]) == (50, 249)
    with pytest.raises(MediaError, match=r"no frame from 11\.00 to 10\.00"):
        choose(times, 10.0, Sampling(), start=11.0)


@pytest.mark.parametrize("indices", [(0, 5, 3), (9,)])
def test_indices_are_taken_as_given(indices: tuple[int, ...]) -> None:
    assert choose(np.arange(10) / 25, 0.4, Sampling(kind="indices", indices=indices)).tolist() == list(indices)


@pytest.mark.parametrize("indices", [(10,), (-1, 2), ()])
def test_indices_that_do_not_exist_mean_another_file(indices: tuple[int, ...]) -> None:
    with pytest.raises(MediaError) as caught:
        choose(np.arange(10) / 25, 0.4, Sampling(kind="indices", indices=indices))
    assert caught.value.fault == "changed"


def test_edges() -> None:
    np.testing.assert_array_equal(edges(np.array([0.0, 1 / 3, 2 / 3])), [0.0, 0.333, 0.667, 1.0])
    np.testing.assert_array_equal(edges(np.array([2.0]), gap=0.5), [2.0, 2.5])
    with pytest.raises(ValueError, match="give `gap`"):
        edges(np.array([2.0]))


SIZES = [((720, 1280), (384, 672)), ((480, 640), (448, 576)), ((240, 320), (256, 320)), ((1080, 1920), (384, 672))]


@pytest.mark.parametrize(("source", "shown"), SIZES)
def test_fit_known_sizes(source: tuple[int, int], shown: tuple[int, int]) -> None:
    assert fit(*source, Resize()) == shown


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([1, 14, 28, 32, 64]), st.integers(16384, 1 << 22))
def test_fit_keeps_every_promise(height: int, width: int, multiple: int, most: int) -> None:
    resize = Resize(max_pixels=most, min_pixels=16384, multiple=multiple)
    rows, columns = fit(height, width, resize)
    assert rows % multiple == columns % multiple == 0
    assert rows >= multiple
    assert columns >= multiple
    assert rows * columns <= most
    ratio = (rows / columns) / (height / width)
    if min(height, width) * 40 > max(height, width) and min(rows, columns) >= 4 * multiple:
        assert 0.7 < ratio < 1.43, "the shape is kept to within the grid"


@given(st.integers(200, 4000), st.integers(200, 4000))
def test_fit_uses_what_it_may(height: int, width: int) -> None:
    """Without a grid to speak of, the size is the source's or fills the budget."""
    resize = Resize(multiple=2)
    rows, columns = fit(height, width, resize)
    target = min(height * width, resize.max_pixels)
    slack = 2 * max(rows, columns) + 2 * min(rows, columns) + 4
    assert abs(rows * columns - target) <= slack


def test_fit_extremes_stay_valid() -> None:
    for source in itertools.product((1, 33, 1201, 100_000), repeat=2):
        rows, columns = fit(*source, Resize())
        assert min(rows, columns) >= 32
        assert rows * columns <= 512 * 512
    assert fit(1201, 33, Resize()) == (1184, 32)
    with pytest.raises(ViubenchError, match="64x64"):
        fit(100, 100, Resize(max_pixels=1024, min_pixels=1024, multiple=64))
