"""Perturbations: what they do, that they do it only inside the segment, and the same everywhere."""

from __future__ import annotations

import itertools
from hashlib import blake2b
from typing import Any, get_args

import numpy as np
import pytest
from block_videos import moving
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from viubench.pretext.perturb import TEMPORAL, WORDS, altered, draw_strength, positions
from viubench.pretext.rng import Rng
from viubench.schema import GroundParams, Perturbation, Strengths

NAMES: tuple[Perturbation, ...] = get_args(Perturbation)
SEGMENT = (10, 20)
VIDEO = moving()
OTHER = moving(seed=9, height=128, width=96)
REVERSED = {"order": list(range(9, -1, -1))}


def perturb(frames: Any, name: Perturbation, segment: tuple[int, int], *how: Any, **more: Any) -> np.ndarray[Any, Any]:
    """The whole video with its segment altered."""
    whole = frames.copy()
    whole[slice(*segment)] = altered(frames, name, segment, *how, **more)
    return whole


def shown(name: Perturbation, strength: dict[str, Any] | None = None, seed: int = 5) -> np.ndarray[Any, Any]:
    if strength is None:
        strength = REVERSED if name == "shuffle" else draw_strength(name, Strengths(), Rng(1))
    return perturb(VIDEO.pixels, name, SEGMENT, strength, seed, OTHER.pixels)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_segment_changes_and_the_source_never(name: Perturbation) -> None:
    before = VIDEO.pixels.copy()
    pixels = shown(name)
    start, stop = SEGMENT
    assert pixels.shape == before.shape
    assert pixels.dtype == np.uint8
    assert (pixels[:start] == before[:start]).all()
    assert (pixels[stop:] == before[stop:]).all()
    assert (VIDEO.pixels == before).all()
    own = {k for k, place in enumerate(_places(name)) if place == start + k}
    for k in set(range(stop - start)) - own:
        assert (pixels[start + k] != before[start + k]).any(), k


def _places(name: Perturbation) -> list[int]:
    if name not in TEMPORAL:
        return []
    strength = REVERSED if name == "shuffle" else draw_strength(name, Strengths(), Rng(1))
    return positions(name, len(VIDEO), SEGMENT, strength)


# Equal for OpenCV 4.9 with numpy 1.26 and OpenCV 5.0 with numpy 2.3; a change here changes every built item.
GOLDEN = {
    "saturation": "c4c9ce74d36bcdbc",
    "noise": "be8b5e0f99e71b6e",
    "blur": "df1dc1e6737286f1",
    "grayscale": "145ca80f8da700da",
    "zoom_in": "55af26b063283b51",
    "zoom_out": "c6e489444de1f223",
    "rotate_90": "8dcb43cb554efb10",
    "swap": "b21b7c63515cbbe6",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_frames_are_the_same_on_every_machine(name: Perturbation) -> None:
    assert blake2b(shown(name).tobytes(), digest_size=8).hexdigest() == GOLDEN[name]


def test_the_noise_differs_by_seed_and_frame_and_has_the_sigma_drawn() -> None:
    grey = np.full((48, 96, 160, 3), 128, np.uint8)
    noisy = perturb(grey, "noise", SEGMENT, {"sigma": 40.0}, seed=1)[10:20].astype(int) - 128
    assert (perturb(grey, "noise", SEGMENT, {"sigma": 40.0}, seed=2)[10:20] != noisy + 128).any()
    assert (noisy[0] != noisy[1]).any()
    # Fault 7 of the published scripts: strength drawn per frame flickers.
    assert all(abs(frame.std() - 40) < 1 for frame in noisy)
    assert abs(noisy.mean()) < 0.5


def test_single_pictures_are_what_their_names_say() -> None:
    source, at = VIDEO.pixels[10], SEGMENT[0]
    assert (shown("channel_swap")[at] == source[..., [2, 1, 0]]).all()
    assert (shown("mirror")[at] == source[:, ::-1]).all()
    assert (shown("rotate_180")[at] == source[::-1, ::-1]).all()
    assert (shown("invert")[at] == 255 - source).all()
    grey = shown("grayscale")[at]
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 1] == grey[..., 2]).all()


def test_quarter_turns_go_the_way_they_say_and_keep_the_frame_size() -> None:
    frames = np.zeros((48, 90, 160, 3), np.uint8)
    frames[:, :20] = (250, 0, 0)  # a red strip along the top
    clockwise = perturb(frames, "rotate_90", SEGMENT, {}, 0)[10]
    back = perturb(frames, "rotate_270", SEGMENT, {}, 0)[10]
    assert clockwise.shape == (90, 160, 3)
    assert np.nonzero(clockwise[..., 0].max(axis=0))[0].mean() > 80  # clockwise, top goes right
    assert np.nonzero(back[..., 0].max(axis=0))[0].mean() < 80


def test_zooming_keeps_one_scale_over_the_segment() -> None:
    white = np.full((48, 120, 160, 3), 255, np.uint8)
    small = perturb(white, "zoom_out", SEGMENT, {"scale": 1.25}, 0)[10:20]
    assert (small == small[0]).all()
    assert np.count_nonzero(small[0, :, 80, 0]) == 96
    assert np.count_nonzero(small[0, 60, :, 0]) == 128
    dot = np.zeros((48, 120, 160, 3), np.uint8)
    dot[:, 40:80, 60:100] = 255
    large = perturb(dot, "zoom_in", SEGMENT, {"scale": 1.5}, 0)[10]
    assert abs(np.count_nonzero(large[60, :, 0] > 127) - 60) <= 1


def test_grey_has_no_colour_to_exchange_or_strengthen() -> None:
    grey = np.repeat(VIDEO.pixels[..., :1], 3, axis=-1)
    for name in ("channel_swap", "saturation", "grayscale"):
        changed = perturb(grey, name, SEGMENT, {"factor": 2.0}, 0).astype(int) - grey
        assert abs(changed).max() <= 1, name


@given(st.integers(2, 40), st.integers(0, 40), st.integers(2, 5), st.integers(60, 100))
def test_slow_fast_and_stutter_stay_inside_the_video(length: int, start: int, strength: int, total: int) -> None:
    start = min(start, total - length)
    segment = (start, start + length)
    slow = positions("slow", total, segment, {"factor": strength})
    assert slow[0] == start
    assert all(0 <= after - before <= 1 for before, after in itertools.pairwise(slow))
    held = positions("stutter", total, segment, {"hold": strength})
    assert all(place <= start + k for k, place in enumerate(held))
    if length > 1:
        assert held[-1] != start + length - 1, "the last frame must not show its own picture"
    if strength * (length - 1) < total:
        fast = positions("fast", total, segment, {"factor": strength})
        assert min(fast) >= 0
        assert max(fast) < total
        assert {after - before for before, after in itertools.pairwise(fast)} == {strength}
    else:
        with pytest.raises(ValueError, match="need"):
            positions("fast", total, segment, {"factor": strength})


@given(st.integers(0, 2**63), st.sampled_from(["zoom_in", "zoom_out", "noise", "stutter"]))
def test_strengths_lie_in_their_ranges(seed: int, name: Perturbation) -> None:
    (value,) = draw_strength(name, Strengths(), Rng(seed)).values()
    low, high = getattr(Strengths(), name)
    assert low <= value <= high


def test_every_perturbation_can_be_named_in_a_question() -> None:
    assert set(WORDS) == set(NAMES)
    assert len(set(WORDS.values())) == len(NAMES)
    # The paper: for slow and fast the prompt must say that timestamps are no evidence of speed.
    assert all("evenly spaced" in WORDS[name] for name in ("slow", "fast"))


@pytest.mark.parametrize(
    "bad",
    [
        {"perturb": "wobble"},
        {"perturb": []},
        {"perturb": "mirror", "length": [16, 8]},
        {"perturb": "mirror", "zoom": 2},
        {"perturb": "noise", "noise": [0, 300]},
        {"perturb": ["mirror", "mirror"]},
        {"perturb": "slow", "slow": 1},
    ],
)
def test_a_difficulty_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GroundParams.model_validate(bad)


def test_one_number_stands_for_a_range() -> None:
    params = GroundParams.model_validate({"perturb": "zoom_out", "zoom_out": 1.25, "length": 12})
    assert params.perturb == ("zoom_out",)
    assert params.zoom_out == (1.25, 1.25)
    assert params.length == (12, 12)
