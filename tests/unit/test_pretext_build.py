"""Building items from real video files: the same twice, whatever the workers, with every fault told."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import pytest

from viubench.errors import MediaError, ViubenchError
from viubench.pretext.build import BuildReport, build
from viubench.pretext.generate import apply, sample_of
from viubench.schema import Clip, Item, Recipe, RecipeEntry, Resize, Sampling, Task
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput

CHECK = Resize(max_pixels=128 * 128, min_pixels=64 * 64)


def task(name: str, kind: str, evaluator: str, question: str = "<video> Which?", **params: Any) -> Task:
    data = {"task": name, "domain": "test", "question": question, "metric": "m", "protocol": "p"}
    return Task.model_validate(data | {"pretext": {"kind": kind, "params": params}, "evaluator": {"name": evaluator}})


TASKS = {
    one.task: one
    for one in (
        task("mirrored", "ground", "temporal_iou", "<video> {perturbation}, {start} to {end}", perturb="mirror"),
        task("mixed", "ground", "temporal_iou", perturb=["shuffle", "swap", "noise"]),
        task("counted", "count", "shape_counts"),
        task("cut", "jigsaw", "permutation", "{clips}\n{n} clips", n=4),
    )
}


def recipe(n: int = 8, **tasks: int) -> Recipe:
    items = [RecipeEntry(task=name, n=tasks.get(name, n)) for name in TASKS if not tasks or name in tasks]
    return Recipe(recipe="test", sampling=Sampling(frames=48), check=CHECK, items=items)


def made(clips: Path, out: Path, cache: Path, which: Recipe | None = None, **more: Any) -> BuildReport:
    return build(which or recipe(), TASKS, clips, out, cache=FrameCache(cache), **more)


def items(out: Path) -> list[Item]:
    return [Item.model_validate_json(line) for line in (out / "items.jsonl").read_bytes().splitlines()]


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="module")
def built(clips: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    made(clips, out, cache)
    return out


def test_every_item_is_made_and_told_as_it_was_wanted(built: Path) -> None:
    found = items(built)
    about = json.loads((built / "build.json").read_bytes())
    assert [item.task for item in found] == [name for name in TASKS for _ in range(8)]
    assert len({item.id for item in found}) == len(found)
    assert {item.cluster for item in found} == {line["content"][:16] for line in about["videos"]}
    assert len({item.cluster for item in found}) == 4, "items are spread over all videos"
    assert about["counts"] == {name: {"wanted": 8, "made": 8} for name in TASKS}
    assert about["recipe"] == recipe().model_dump(mode="json")
    assert Task.model_validate(about["tasks"]["cut"]) == TASKS["cut"]
    assert sum(line["items"] for line in about["videos"]) == len(found)
    assert about["items_hash"] == hashlib.sha256((built / "items.jsonl").read_bytes()).hexdigest()[:16]
    cut = next(item for item in found if item.task == "cut")
    assert cut.question == "Clip 1: <video>\nClip 2: <video>\nClip 3: <video>\nClip 4: <video>\n4 clips"
    assert not any("{" in item.question for item in found)


def test_the_same_build_gives_the_same_bytes_on_one_worker_or_two(built: Path, clips: Path, tmp_path: Path) -> None:
    made(clips, tmp_path / "again", tmp_path / "cold", workers=2)
    again = tree(tmp_path / "again")
    assert again == tree(built)
    other = made(clips, tmp_path / "other", tmp_path / "cold", seed=1)
    assert other.items_hash != json.loads((built / "build.json").read_bytes())["items_hash"]


def test_the_first_items_are_the_same_however_many_follow(
    built: Path, clips: Path, cache: Path, tmp_path: Path
) -> None:
    for n in (1, 3):
        made(clips, tmp_path / str(n), cache, n=n)
        found = {item.task: [one for one in items(built) if one.task == item.task][:n] for item in items(built)}
        assert items(tmp_path / str(n)) == [item for name in TASKS for item in found[name]]


def test_the_sources_are_not_touched(clips: Path, cache: Path, tmp_path: Path) -> None:
    """Fault 8 of the published scripts: perturbed frames were written into the source folder, as JPEG."""
    before = tree(clips)
    made(clips, tmp_path / "out", cache, recipe(n=1), materialize=True)
    assert tree(clips) == before


def test_materialised_frames_are_the_frames_a_model_is_shown(clips: Path, cache: Path, tmp_path: Path) -> None:
    made(clips, tmp_path, cache, recipe(n=1), materialize=True)
    store = FrameCache(cache)
    for item in items(tmp_path):
        sample = sample_of(item, TASKS[item.task])
        shown = apply(item.params, item.seed, [store.get(c, clips, Sampling(frames=48), CHECK) for c in sample.clips])
        folders = [tmp_path / "frames" / item.id]
        if len(shown) > 1:
            folders = [folders[0] / f"clip-{number + 1}" for number in range(len(shown))]
        for folder, video in zip(folders, shown, strict=True):
            files = sorted(folder.iterdir())
            assert len(files) == len(video)
            for file, frame in zip(files, video.pixels, strict=True):
                assert (cv2.imread(str(file))[..., ::-1] == frame).all()
    before = tree(tmp_path)
    made(clips, tmp_path, cache, recipe(n=1), materialize=True)
    assert tree(tmp_path) == before


def test_every_bad_file_is_told_with_its_fault(clips: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    first = sorted(clips.glob("*.mp4"))[0]
    shutil.copy(first, folder / "b.mp4")
    shutil.copy(first, folder / "deep" / "twin.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.avi").write_text("no video at all")
    (folder / "cut.mp4").write_bytes(first.read_bytes()[:2000])
    (folder / "notes.md").write_text("kept out")
    (folder / ".hidden.mp4").write_text("kept out")
    (folder / "sound.wav").write_text("told")
    (folder / "elsewhere.mp4").symlink_to(first)
    (folder / "nowhere.mp4").symlink_to(folder / "gone.mp4")
    report = made(folder, tmp_path / "out", cache, recipe(mirrored=2))
    faults = {line.path: line.fault for line in report.videos}
    assert faults == {
        "b.mp4": None,
        "cut.mp4": "truncated",
        "deep/twin.mp4": "duplicate",
        "elsewhere.mp4": "outside_root",
        "empty.mp4": "empty",
        "nowhere.mp4": "missing",
        "text.avi": "not_a_video",
    }
    assert {line.path for line in report.videos if line.content is None} == {
        "elsewhere.mp4",
        "empty.mp4",
        "nowhere.mp4",
    }
    assert report.ignored == ("sound.wav",)
    assert {item.video for item in items(tmp_path / "out")} == {"b.mp4"}
    text = report.text()
    assert all(path in text for path in [*list(faults)[1:], "sound.wav"])


class Stumbling(FrameCache):
    """A cache whose reader raises what nobody foresaw on one file."""

    def get(self, clip: Clip, *how: Any) -> VideoInput:
        if clip.path == "b.mp4":
            raise IndexError("list index out of range")
        return super().get(clip, *how)


class Here:
    """A pool that does each job at once, in this process."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s

    def submit(self, fn: Any, *args: Any, name: str = "") -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args))
        except MediaError as error:
            future.set_exception(error)
        return future

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


def test_an_unforeseen_exception_on_one_file_is_that_file_s_fault(clips: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, source in zip(("a.mp4", "b.mp4"), sorted(clips.glob("*.mp4")), strict=False):
        shutil.copy(source, folder / name)
    report = build(recipe(mirrored=2), TASKS, folder, tmp_path / "out", cache=Stumbling(cache), pool_of=Here)
    faults = {video.path: (video.fault, video.detail) for video in report.videos}
    assert faults == {"a.mp4": (None, ""), "b.mp4": ("crashed", "IndexError: list index out of range")}
    assert report.built == {"mirrored": 2}


def test_items_of_the_version_before_open_and_are_written_as_they_were(built: Path) -> None:
    for line in (built / "items.jsonl").read_text().splitlines():
        plain = json.loads(line)
        assert Item.model_validate(plain).model_dump(mode="json") == plain
    older = {
        "id": "counted-1", "task": "counted", "video": "a.mp4", "cluster": "c", "seed": 5, "question": "q",
        "answer": "0,1,0", "params": {
            "kind": "count", "content": "ab" * 16, "frames": 1, "indices": [3], "times": [0.0, 0.2],
            "max_frames": 2, "max_instances": 1, "min_frames": 0, "kinds": ["square"], "canvas": [64, 64],
            "shapes": [{"shape": "square", "frame": 0, "x": 0.1, "y": -0.2, "size": 0.3, "angle": 7,
                        "color": [1, 2, 3]}],
        },
    }  # fmt: skip
    assert Item.model_validate(older).model_dump(mode="json") == older


def test_a_source_whose_items_fail_hands_them_to_the_next(clips: Path, cache: Path, tmp_path: Path) -> None:
    """One video has too few different questions for all items: the rest go on, or are reported as not made."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(sorted(clips.glob("*.mp4"))[0], folder)
    few = {"cut": task("cut", "jigsaw", "permutation", "{clips}", n=2)}
    which = Recipe(recipe="few", check=CHECK, items=[RecipeEntry(task="cut", n=5)])
    report = build(which, few, folder, tmp_path / "one", cache=FrameCache(cache))
    assert report.built == {"cut": 2}
    assert report.rejections["cut"]["duplicate"] >= 3
    assert "2 of 5" in report.text()
    report = build(which, few, clips, tmp_path / "four", cache=FrameCache(cache))
    assert report.built == {"cut": 5}
    asked = [(item.video, item.answer) for item in items(tmp_path / "four")]
    assert len(set(asked)) == len(asked)


def test_swap_names_the_video_it_borrows_from(built: Path) -> None:
    swapped = [item for item in items(built) if item.params.kind == "ground" and item.params.perturb == "swap"]
    assert swapped
    for item in swapped:
        sample = sample_of(item, TASKS["mixed"])
        assert [clip.path for clip in sample.clips] == [item.video, item.params.other.video]
        assert sample.clips[1].content == item.params.other.content != sample.clips[0].content


def test_mistakes_are_told_before_any_work(clips: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(ViubenchError, match="no video files"):
        made(tmp_path / "none", tmp_path / "out", cache)
    with pytest.raises(ViubenchError, match="no such folder"):
        made(tmp_path / "gone", tmp_path / "out", cache)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.mp4").write_text("text")
    with pytest.raises(ViubenchError, match=r"none of the 1 videos can be used: a\.mp4: not_a_video"):
        made(tmp_path / "bad", tmp_path / "out", cache)
    wrong = {"cut": task("cut", "jigsaw", "permutation", "{clip}", n=2)}
    with pytest.raises(ViubenchError, match=r"\{clip\}"):
        build(recipe(cut=1), wrong, clips, tmp_path / "out", cache=FrameCache(cache))
    impossible = {"cut": task("cut", "jigsaw", "permutation", "{clips}", n=49)}
    with pytest.raises(ViubenchError, match=r"it needs at least 49 frames of a video, and is shown 48"):
        build(recipe(cut=1), impossible, clips, tmp_path / "out", cache=FrameCache(cache))
    assert not (tmp_path / "out").exists()


def test_questions_and_recipes_that_cannot_work_are_refused(clips: Path, cache: Path, tmp_path: Path) -> None:
    mute = {"cut": task("cut", "jigsaw", "permutation", "<video> in order?", n=2)}
    with pytest.raises(ViubenchError, match="1 times <video>, expected 2"):
        build(recipe(cut=1), mute, clips, tmp_path, cache=FrameCache(cache))
    twice = Recipe(recipe="twice", items=[RecipeEntry(task="cut", n=1), RecipeEntry(task="cut", n=2)])
    with pytest.raises(ViubenchError, match="a task occurs twice"):
        made(clips, tmp_path, cache, twice)


def test_the_videos_are_found_again_from_the_build(
    clips: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clips.parent)
    made(Path(clips.name), tmp_path / "relative", cache, recipe(cut=1))
    made(clips, tmp_path / "absolute", cache, recipe(cut=1))
    for name in ("relative", "absolute"):
        root = json.loads((tmp_path / name / "build.json").read_bytes())["videos_root"]
        assert (tmp_path / name / root).resolve() == clips.resolve()


def test_progress_goes_up_to_the_wanted_number(clips: Path, cache: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    read: list[tuple[int, int]] = []
    made(clips, tmp_path, cache, recipe(n=2), progress=lambda done, total: told.append((done, total)),
         scanned=lambda done, total: read.append((done, total)))  # fmt: skip
    assert told[-1] == (8, 8)
    assert told == sorted(told)
    videos = len(list(clips.iterdir()))
    assert read == [(done, videos) for done in range(1, videos + 1)]


@pytest.mark.clips
def test_real_clips_make_every_kind_of_item(real_clips: Path, tmp_path: Path) -> None:
    report = made(real_clips, tmp_path / "out", tmp_path / "cache", recipe(n=20), workers=2)
    assert report.built == dict.fromkeys(TASKS, 20)
    assert all(line.detail or line.fault is None for line in report.videos)
