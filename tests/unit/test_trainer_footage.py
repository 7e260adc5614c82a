"""Real clips as training material: which show one scene, how scenes are split, what the clips cut from them hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import paired_runs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.demo import acceptance, pipeline
from viubench.api.compare import compare
from viubench.errors import ViubenchError
from viubench.pretext.build import build
from viubench.schema import Clip, Item, Recipe
from viubench.tasks.registry import Catalogue
from viubench.video import footage, synthetic
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels, VideoInput
from viubench.video.probe import probe


def copy_at(path: Path, out: Path, fps: int) -> None:
    """The frames of a video again, recoded at another rate."""
    video = FrameCache(out.parent.parent / "copies").get(Clip(path=path.name), path.parent, footage.READ, footage.SIZE)

    def frames() -> Iterator[Pixels]:
        yield from video.pixels

    height, width = video.pixels.shape[1:3]
    synthetic.write_mp4(out, frames(), (width, height), Fraction(fps))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes, one of them in two files of unlike names, and files that cannot be used."""
    root = tmp_path_factory.mktemp("footage") / "clips"
    for seed, name in enumerate(("yard.mp4", "street_day.mp4", "sea.mp4")):
        (drawn,) = synthetic.draw(root / "drawn", 1, seed, seconds=5, size=(96, 64), fps=8)
        drawn.rename(root / name)
    copy_at(root / "yard.mp4", root / "again.mp4", 5)
    (short,) = synthetic.draw(root / "drawn", 1, 9, seconds=2, size=(96, 64), fps=8)
    short.rename(root / "short.mp4")
    (root / "broken.mp4").write_bytes(b"no video")
    return root


@pytest.fixture(scope="module")
def sources(folder: Path) -> list[footage.Source]:
    return footage.read(folder, FrameCache(folder.parent / "frames"))[0]


def test_a_copy_under_another_name_shows_the_same_scene(folder: Path, sources: list[footage.Source]) -> None:
    scenes = {source.path: source.scene for source in sources}
    assert scenes["again.mp4"] == scenes["yard.mp4"] == "again"
    assert len(set(scenes.values())) == 3
    _, unused = footage.read(folder, FrameCache(folder.parent / "frames"))
    assert sorted(line.split(":")[0] for line in unused) == ["broken.mp4", "short.mp4"]


@pytest.mark.parametrize(
    ("path", "scene"),
    [
        ("yard_dog_1.mp4", "yard_dog"),
        ("a/yard-dog-2.webm", "a/yard-dog"),
        ("clip_01.mp4", "clip_01"),
        ("v_Ball_g01_c02.avi", "v_Ball_g01"),
        ("one.mp4", "one"),
    ],
)
def test_the_last_of_three_words_is_no_part_of_the_scene(path: str, scene: str) -> None:
    assert footage.name_of_scene(path) == scene


@given(st.integers(8, 200), st.integers(0, 1000))
def test_every_scene_is_in_one_split(n: int, seed: int) -> None:
    scenes = {f"scene {k}" for k in range(n)}
    parts = footage.splits(scenes, seed)
    assert set.union(*parts.values()) == scenes
    assert sum(map(len, parts.values())) == n
    assert len(parts["train"]) >= len(parts["test"]) >= 3
    assert parts == footage.splits(sorted(scenes, reverse=True), seed)


def test_too_few_scenes_are_refused_with_the_rule() -> None:
    with pytest.raises(ViubenchError, match="show 3 scenes") as caught:
        footage.splits({"a", "b", "c"}, 0)
    assert "names differ in the last word" in str(caught.value.hint)


def test_equal_seeds_cut_equal_clips_of_every_scene(sources: list[footage.Source], tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        footage.cut(sources, tmp_path / name, 7, seed, varied=True)
    one, two, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.mp4")}
        for name in ("one", "two", "other")
    )
    assert one == two != other
    assert {path.parts[0] for path in one} == {source.scene for source in sources}
    for path in one:
        facts = probe(tmp_path / "one" / path)
        assert round(facts.duration) in footage.SECONDS
        assert (facts.width, facts.height) == (64, 64)


def ramp(seconds: float) -> VideoInput:
    """A video whose frames are as bright as their time in seconds, times ten, the left half black."""
    times = np.arange(0, seconds, 0.125)
    pixels = np.zeros((len(times), 40, 60, 3), np.uint8)
    pixels[:, :, 30:] = np.round(times * 10)[:, None, None, None]
    return VideoInput(pixels, 8.0, tuple(range(len(times))), tuple(times), len(times), seconds)


def test_a_clip_as_filmed_is_the_whole_picture_at_its_own_speed() -> None:
    for seed in range(20):
        frames = np.array(list(footage.window(ramp(20), np.random.default_rng(seed), 8, varied=False)))
        assert frames.shape[1:] == (64, 64, 3)
        assert 24 <= len(frames) <= 160
        assert (frames[:, :, :30] == 0).all()
        shown = frames[:, 32, 48, 0] / 10
        assert np.allclose(np.diff(shown), 0.125, atol=0.11)


def test_varied_clips_are_slower_faster_mirrored_cropped_and_of_other_light() -> None:
    clips = [
        np.array(list(footage.window(ramp(20), np.random.default_rng(seed), 8, varied=True))) for seed in range(60)
    ]
    speeds = [np.ptp(clip.max(axis=(1, 2, 3)).astype(float)) / (len(clip) - 1) / 1.25 for clip in clips]
    assert min(speeds) < 0.6
    assert max(speeds) > 1.6
    assert any((clip[-1, :, 0] > 0).all() and (clip[-1, :, -1] == 0).all() for clip in clips), "mirrored"
    assert len({int((clip[-1, 0] > 0).any(axis=1).sum()) for clip in clips}) > 10, "cropped"


def test_items_of_one_scene_are_one_cluster_and_swapped_with_another(
    sources: list[footage.Source], tmp_path: Path
) -> None:
    footage.cut(sources, tmp_path / "clips", 9, 1, varied=False)
    catalogue = Catalogue()
    recipe: Recipe = catalogue.recipe("tiny-clips")
    build(recipe, catalogue.tasks_of(recipe), tmp_path / "clips", tmp_path / "items", n=20, cache=FrameCache(tmp_path))
    pipeline.cluster_by_scene(tmp_path / "items")
    pipeline.swap(tmp_path / "items", tmp_path / "swapped")

    def read(name: str) -> list[Item]:
        return [Item.model_validate(json.loads(line)) for line in (tmp_path / name / "items.jsonl").open()]

    items, swapped = read("items"), read("swapped")
    assert {item.cluster for item in items} == {source.scene for source in sources}
    assert len(items) == 40
    for item, other in zip(items, swapped, strict=True):
        assert (item.question, item.answer) == (other.question, other.answer)
        assert item.cluster != other.cluster


def test_a_scene_is_in_one_split_and_only_training_clips_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[object, ...]] = []
    known = [footage.Source(f"{k}.mp4", ramp(12), f"scene {k // 2}") for k in range(20)]
    monkeypatch.setattr(footage, "read", lambda *_: (known, ["dark.mp4: its frames show nothing"]))
    monkeypatch.setattr(pipeline, "CUTS", dict.fromkeys(pipeline.CUTS, 10))
    monkeypatch.setattr(pipeline.Demo, "viubench", lambda self, *words: commands.append(words))
    config = pipeline.demo_config("tiny-clips", 0, "smooth", warm=True)
    demo = pipeline.Demo(tmp_path, 0, None, config, 1, folder=tmp_path)
    for split in pipeline.CLIPS:
        demo.clips(split, tmp_path / "clips" / split)
    scenes = [path.name for path in (tmp_path / "clips").glob("*/*")]
    assert sorted(scenes) == [f"scene {k}" for k in range(10)]
    assert {words[0] for words in commands} == {"clips"}
    assert all("train/drawn" in str(words[2]) for words in commands)


def test_what_falls_short_on_real_clips_is_said(tmp_path: Path) -> None:
    def run(name: str, *scores: float) -> Path:
        """A run whose samples of four scenes have these mean scores."""
        rows = [paired_runs.Row(f"{n:03d}", scores[n % 4], f"scene {n % 4}") for n in range(80)]
        return paired_runs.write(tmp_path / name, {"tiny_count": rows})

    blind = run("blind", 0.3, 0.3, 0.3, 0.3)
    good, uneven = run("good", 0.7, 0.8, 0.8, 0.9), run("uneven", 1, 0.2, 0.2, 0.2)

    def told(candidate: Path, swapped: float) -> list[str]:
        report = compare(blind, candidate).model_dump_json(by_alias=True)
        (tmp_path / "compare.json").write_text(report)
        result = {"tasks": {"tiny_count": {"swapped_video": swapped, "constant_floor": 0.5}}}
        return acceptance.clips_failures(tmp_path / "compare.json", result)

    assert told(good, 0.4) == []
    (sentence,) = told(uneven, 0.4)  # one scene alone is above: 80 samples, four clusters
    assert sentence.startswith("tiny_count: +0.100 above the blind row, at least -")
    (sentence,) = told(good, 0.6)
    assert sentence == "tiny_count: scores 0.600 with another video, a constant answer 0.500"
