"""The proof of sight finds every way in which frames or times may not arrive; on a processor that does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from viubench.engines import prompts, sight
from viubench.engines.families import FAMILIES, Family
from viubench.engines.prompts import Showing
from viubench.engines.sight import Processed, Prover
from viubench.errors import ViubenchError
from viubench.video import timestamps
from viubench.video.frames import VideoInput

Fault = Callable[[VideoInput], VideoInput]

QWEN3 = FAMILIES["qwen3_vl"]


def video(frames: int = 9, height: int = 32, width: int = 64, start: float = 0.0, seed: int = 0) -> VideoInput:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)
    times = tuple(start + 2.0 * number for number in range(frames))
    return VideoInput(pixels, 1.0, tuple(int(time) for time in times), times, 110, 110.0)


def patches(pixels: np.ndarray) -> np.ndarray:
    """As Qwen's processors lay them out: groups of two frames, patches of 16 x 16, the last frame repeated."""
    scaled = (np.concatenate([pixels, pixels[-1:]])[: len(pixels) + len(pixels) % 2] / 255 - 0.5) / 0.5
    groups, height, width = len(scaled) // 2, pixels.shape[1] // 16, pixels.shape[2] // 16
    parts = scaled.reshape(groups, 2, height, 16, width, 16, 3).transpose(0, 2, 4, 6, 1, 3, 5)
    return parts.reshape(groups * height * width, -1).astype(np.float32)


def process(videos: Sequence[VideoInput], fault: Fault = lambda video: video, family: Family = QWEN3) -> Processed:
    seen = [fault(video) for video in videos]
    pixels = np.concatenate([patches(video.pixels) for video in seen])
    stamps = [stamp for video in seen for stamp in family.stamp.texts(video.times, 2)] if family.stamp else []
    spaces = tuple(2 * timestamps.spacing(video) for video in seen) if family.positions else ()
    told = "".join(prompts.sentences(seen)) + "".join(stamps)
    return Processed(told, len(pixels) // 4, (pixels,), spaces)


def size(video: VideoInput) -> tuple[int, ...]:
    return video.pixels.shape[:3]


def every_other(video: VideoInput) -> VideoInput:
    return replace(video, pixels=video.pixels[::2], indices=video.indices[::2], times=video.times[::2])


def prove(fault: Fault, videos: Sequence[VideoInput], family: Family = QWEN3, every: bool = True) -> None:
    def worth(videos: Sequence[VideoInput]) -> int:
        return sum(
            -(-len(video) // 2) * (video.pixels.shape[1] // 32) * (video.pixels.shape[2] // 32) for video in videos
        )

    prover = Prover("it", family, Showing.of(family, "hf"), worth, 2)
    if not every:
        prover.frames(process, [video(3)], process([video(3)]))
    prover.prompt(process(videos, fault, family), videos)
    prover.frames(lambda others: process(others, fault, family), videos, process(videos, fault, family))


def pixels(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return lambda video: replace(video, pixels=change(video.pixels.copy()))


def same_count(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    def fault(video: VideoInput) -> VideoInput:
        changed = change(video.pixels.copy())
        return replace(video, pixels=np.ascontiguousarray(changed))

    return fault


def shrink(pixels: np.ndarray) -> np.ndarray:
    import cv2

    small = [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in pixels]
    return np.stack([cv2.resize(frame, pixels.shape[2:0:-1]) for frame in small])


def crop(pixels: np.ndarray) -> np.ndarray:
    pixels[:, :, :8] = 0
    return pixels


def swap(pixels: np.ndarray) -> np.ndarray:
    pixels[[1, 2]] = pixels[[2, 1]]
    return pixels


def drop(pixels: np.ndarray) -> np.ndarray:
    pixels[-1] = pixels[-2]
    return pixels


FAULTS: dict[str, tuple[Fault, str]] = {
    "dropped": (same_count(drop), "does not reach it"),
    "half of them": (every_other, "vision tokens"),
    "cropped": (same_count(crop), "is cropped|is resized"),
    "reordered": (same_count(swap), "does not come after"),
    "turned round": (same_count(lambda pixels: pixels[::-1]), "does not come after"),
    "resampled": (same_count(shrink), "is resized|is cropped"),
    "every other row": (same_count(lambda p: p[:, ::2, ::2].repeat(2, 1).repeat(2, 2)), "is resized|is cropped"),
    "blended": (same_count(lambda p: p // 2 + np.roll(p, 1, 0) // 2), "is resized"),
    "smaller": (pixels(lambda p: p[:, ::2, ::2].repeat(2, 1)), "vision tokens"),
    "shifted": (lambda v: replace(v, times=tuple(time + 1 for time in v.times)), "expected 5, <1.0 seconds>"),
    "half as long": (lambda v: replace(v, times=tuple(time / 2 for time in v.times)), "expected 5, <1.0 seconds>"),
}  # fmt: skip


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl", "qwen2_vl"])
def test_what_arrives_as_it_was_sent_passes(family: str) -> None:
    prove(lambda video: video, [video()], FAMILIES[family])
    prove(lambda video: video, [video(4), video(7, seed=1)], FAMILIES[family], every=False)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_named(name: str) -> None:
    fault, said = FAULTS[name]
    with pytest.raises(ViubenchError, match=said):
        prove(fault, [video()])


@pytest.mark.parametrize("name", ["half of them", "cropped", "turned round", "resampled", "smaller", "shifted"])
def test_later_shapes_are_proven_with_fewer_frames(name: str) -> None:
    with pytest.raises(ViubenchError, match=FAULTS[name][1]):
        prove(FAULTS[name][0], [video()], every=False)


@pytest.mark.parametrize(
    ("family", "said"), [("qwen2_5_vl", "2.000 s .*expected 4.000 s"), ("qwen2_vl", "does not hold")]
)
def test_wrong_times_are_found_wherever_the_model_reads_them(family: str, said: str) -> None:
    with pytest.raises(ViubenchError, match=said):
        prove(FAULTS["half as long"][0], [video()], FAMILIES[family])


def test_positions_tell_the_spacing_of_a_clip_alone() -> None:
    prove(lambda clip: clip, [video(8, start=40.0)], FAMILIES["qwen2_5_vl"])
    meta = timestamps.metadata(video(8, start=40.0), ticks=True)
    assert len(meta["frames_indices"]) / meta["total_num_frames"] * meta["fps"] == 0.5  # a frame every 2 s


def test_a_model_without_pixels_or_without_eyes_is_blind() -> None:
    assert "no pixels" in str(sight.wrong_pixels(lambda _: Processed("", 0, ()), [video()]))
    assert sight.wrong_tokens(0, None) == "the prompt has no vision tokens"
    answer = np.log(np.array([0.25, 0.75], np.float32))
    assert "does not see them" in str(sight.blind(lambda _: answer, [video()]))
    assert sight.blind(lambda videos: answer + videos[0].pixels.mean(), [video()]) is None


def test_a_processor_that_drops_tokens_may_give_fewer_but_some() -> None:
    assert sight.wrong_tokens(7, 8) is not None
    assert sight.wrong_tokens(7, 8, at_most=True) is None
    assert sight.wrong_tokens(0, 8, at_most=True) is not None
    assert sight.wrong_tokens(9, 8, at_most=True) is not None


def test_frames_a_processor_must_resize_itself_are_still_counted_and_ordered() -> None:
    assert sight.wrong_pixels(lambda videos: process(videos, same_count(shrink)), [video()], exact=False) is None
    found = sight.wrong_pixels(lambda videos: process(videos, same_count(swap)), [video()], exact=False)
    assert "does not come after" in str(found)


def test_a_shape_is_proven_once() -> None:
    prover = Prover("it", QWEN3, Showing(), lambda _: None, 2)
    assert prover.new([video()])
    prover.frames(process, [video()], process([video()]))
    assert not prover.new([video(seed=5)])
    assert prover.new([video(8)])
