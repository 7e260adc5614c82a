"""The drawn clips: readable, different from each other, repeatable, and such that every perturbation shows in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from viubench.video import synthetic as drawing
from viubench.video.synthetic import DUSK, clip_frames, draw, plan

SMALL = {"seconds": 2.0, "size": (96, 64), "fps": 25.0}


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def small_plan(index: int, seed: int = 0) -> drawing.ClipPlan:
    return plan(index, seed, 2.0, (96, 64), 25.0)


def frames(index: int, seed: int = 0) -> np.ndarray:
    return np.stack(list(clip_frames(small_plan(index, seed)))).astype(np.int16)


def test_files_hold_what_was_planned(tmp_path: Path) -> None:
    paths = draw(tmp_path / "new" / "folder", 5, **SMALL)
    assert [path.name for path in paths] == [f"clip-{i:02d}.mp4" for i in range(5)]
    for index, path in enumerate(paths):
        clip = small_plan(index)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name in ("h264", "mpeg4")
            assert stream.average_rate == clip.fps
        assert read(path).shape == (clip.frames, clip.size[1], clip.size[0], 3)
    assert sorted(path.name for path in paths[0].parent.iterdir()) == [path.name for path in paths]


def test_first_clip_is_exactly_what_was_asked() -> None:
    clip = plan(0, 7, 12, (320, 180), 25)
    assert (clip.size, float(clip.fps), clip.frames) == ((320, 180), 25.0, 300)


def test_no_two_clips_are_alike() -> None:
    plans = [plan(index, 0, 12, (320, 180), 25) for index in range(30)]
    assert len({(clip.size, clip.fps, clip.frames) for clip in plans}) == 30
    assert all(9 <= clip.frames / clip.fps <= 15 for clip in plans)


def test_equal_seeds_give_equal_bytes_and_another_seed_other_frames(tmp_path: Path) -> None:
    first, second = draw(tmp_path / "a", 2, 3, **SMALL), draw(tmp_path / "b", 2, 3, **SMALL)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert np.array_equal(frames(0, 3), frames(0, 3))
    assert np.abs(frames(0, 3)[0] - frames(0, 4)[0]).mean() > 10


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_bytes_do_not_depend_on_what_memory_held_before(tmp_path: Path, codec: str) -> None:
    """glibc fills memory it hands out with a pattern of MALLOC_PERTURB_: an encoder that reads it gives other bytes."""
    only_mpeg4 = "def none(*_): raise drawing.av.codec.codec.UnknownCodecError('')\ndrawing.av.codec.Codec = none\n"
    script = (
        "import sys\nfrom pathlib import Path\nfrom viubench.video import synthetic as drawing\n"
        + (only_mpeg4 if codec == "mpeg4" else "")
        + "drawing.draw(Path(sys.argv[1]), 3, 3, seconds=2.0, size=(96, 64), fps=25.0)\n"
    )
    drawn = []
    for pattern in ("0", "1", "170", "255"):
        folder = tmp_path / pattern
        environment = os.environ | {"MALLOC_PERTURB_": pattern}
        subprocess.run([sys.executable, "-c", script, str(folder)], env=environment, check=True)
        drawn.append([path.read_bytes() for path in sorted(folder.iterdir())])
    assert len(drawn[0]) == 3
    assert all(clips == drawn[0] for clips in drawn)


def test_encoded_frames_are_the_drawn_ones(tmp_path: Path) -> None:
    decoded = read(draw(tmp_path, 1, **SMALL)[0]).astype(np.int16)
    assert np.abs(decoded - frames(0)).mean(axis=(1, 2, 3)).max() < 12


@pytest.mark.parametrize("index", range(6))
def test_every_perturbation_is_visible(index: int) -> None:
    shown = frames(index)
    for name, changed in {
        "mirror": shown[:, :, ::-1],
        "rotate": shown[:, ::-1, ::-1],
        "channel swap": shown[..., ::-1],
    }.items():
        assert np.abs(changed - shown).mean(axis=(1, 2, 3)).min() > 5, name


@pytest.mark.parametrize("index", range(6))
def test_always_in_motion_with_cuts_where_planned(index: int) -> None:
    shown, clip = frames(index), small_plan(index)
    steps = np.abs(np.diff(shown, axis=0)).mean(axis=(1, 2, 3))
    assert steps.min() > 0.8
    cuts = [cut - 1 for cut in clip.cuts[1:]]
    assert 1 <= len(cuts) <= 2
    assert steps[cuts].min() > 2 * np.delete(steps, cuts).max()


@pytest.mark.parametrize("size", [(320, 180), (33, 17), (16, 16)])
def test_any_size_draws(size: tuple[int, int]) -> None:
    clip = plan(3, 0, 0.2, size, 25)
    shown = list(clip_frames(clip))
    assert len(shown) == clip.frames
    assert all(frame.shape == (clip.size[1], clip.size[0], 3) and frame.dtype == np.uint8 for frame in shown)
    assert clip.size[0] % 2 == clip.size[1] % 2 == 0


def test_mpeg4_where_there_is_no_h264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_codec(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(drawing.av.codec, "Codec", no_such_codec)
    path = draw(tmp_path, 1, **SMALL)[0]
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert np.abs(read(path).astype(np.int16) - frames(0)).mean() < 12


def test_an_interrupted_clip_leaves_no_file(tmp_path: Path) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield np.zeros((64, 96, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drawing.write_mp4(tmp_path / "x.mp4", broken(), (96, 64), small_plan(0).fps)
    assert list(tmp_path.iterdir()) == []


def test_clips_at_dusk_are_as_asked_and_grow_darker() -> None:
    planned = [plan(index, 5, 8.0, (64, 64), 4.0, dusk=True) for index in range(4)]
    assert {(one.size, one.frames, one.cuts) for one in planned} == {((64, 64), 32, (0,))}
    for one in planned:
        pairs = zip(clip_frames(one), clip_frames(one._replace(dusk=False)), strict=True)
        light = [float(dim.mean()) / float(bright.mean()) for dim, bright in pairs]
        assert light == sorted(light, reverse=True)
        assert light[0] == pytest.approx(1.0)
        assert light[-1] == pytest.approx(1 - DUSK, abs=0.02)
