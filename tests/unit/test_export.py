"""Exported tasks: lossless videos, a clock that fits them, and inside lmms-eval the scores of viubench itself."""

from __future__ import annotations

import json
import random
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from example_rows import copied
from hypothesis import given, settings
from hypothesis import strategies as st
from lmms_folder import Answering, docs, scores, tasks
from pretext_world import blocks
from typer.testing import CliRunner

import evaluators
from viubench.cli import app
from viubench.errors import MediaError, ViubenchError
from viubench.export import lmms, lmms_readme, lmms_scoring, media
from viubench.export.media import File
from viubench.pretext import recipes
from viubench.runs import read_records, read_results
from viubench.schema import Clip, Protocol, Resize, Sample, Sampling
from viubench.sources import tables
from viubench.tasks import Catalogue
from viubench.video.store import FrameStore

pytest.importorskip("lmms_eval")


def viubench(cache: Path, *words: object) -> Any:
    done = CliRunner().invoke(app, list(map(str, words)), env={"VIUBENCH_CACHE": str(cache)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def mini(clips: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`viubench-mini`, three questions of each type, exported."""
    out = tmp_path_factory.mktemp("exported") / "mini"
    viubench(cache, "export", "lmms-eval", "--tasks", "viubench-mini", "--videos", clips, "--out", out,
             "--limit", 3, "--protocol", "viubench-128", "--quiet")  # fmt: skip
    return out


@pytest.fixture(scope="module")
def loaded(mini: Path, cache: Path) -> dict[Any, Any]:
    return tasks(mini, "viubench_mini", cache / "datasets")


def sample_in(doc: dict[str, Any]) -> Sample:
    return Sample.model_validate_json(doc["sample"])


def oracle(doc: dict[str, Any]) -> str:
    return str(doc["answer"])


def junk(doc: dict[str, Any]) -> str:
    return "the weather is fine"


def mixed(doc: dict[str, Any]) -> str:
    """The truth, a guess, chatter around either, a refusal, or nothing, by the question's id."""
    rng = random.Random(doc["id"])
    sample = sample_in(doc)
    truth = str(doc["answer"])
    wrong = random.Random(doc["id"] + "w").choice(["5.0-6.5", "2,3,4", "654321", "B", "yes", "no", "A"])
    said = rng.choice([truth, truth, wrong, wrong, sample.task])
    return rng.choice([said, f"The answer is {said}.", f"{said}\n", "I cannot answer that.", "", said])


def ours(cache: Path, out: Path, rows: list[dict[str, Any]], answering: Answering, *where: object) -> Path:
    """The same answers through `viubench score`."""
    lines = [json.dumps({"id": doc["id"], "response": answering(doc)}) + "\n" for doc in rows]
    (out.parent / f"{out.name}.jsonl").write_text("".join(lines))
    viubench(cache, "score", *where, "--responses", out.parent / f"{out.name}.jsonl", "--out", out, "--quiet")
    return out


def assert_equal(theirs: dict[str, dict[str, Any]], run: Path) -> None:
    """Every number lmms-eval shows is the one in results.json."""
    results = read_results(run)
    for name, result in results.tasks.items():
        row = theirs[lmms.exported_name(name)]
        told = {key: value for key, value in row.items() if "_stderr" not in key}
        expected = lmms_scoring.columns(result)
        assert told.keys() == expected.keys()
        for key, value in expected.items():
            assert told[key] == (None if value is None else pytest.approx(value, abs=1e-9)), (name, key)
    for name, suite in results.suites.items():
        assert theirs[lmms.exported_name(name)]["score"] == pytest.approx(suite.value, abs=1e-6)


@pytest.mark.parametrize("answering", [oracle, junk, mixed])
def test_equal_answers_have_equal_scores(
    mini: Path, loaded: dict[Any, Any], cache: Path, tmp_path: Path, answering: Answering
) -> None:
    theirs = scores(loaded, answering)
    run = ours(cache, tmp_path / "run", docs(loaded), answering, "--tasks", mini / "scoring")
    assert_equal(theirs, run)
    assert len(list(read_records(run))) == 27
    value = theirs["viubench_mini"]["score"]
    assert value == {oracle: 1, junk: 0}.get(answering, value)
    if answering is mixed:
        assert 0.2 < value < 0.9
        assert {record.status for record in read_records(run)} >= {"ok", "unparsed", "refused"}


def test_blind_answers_are_worth_the_same_on_either_clock(mini: Path, cache: Path, tmp_path: Path) -> None:
    """The file's clock moves answers and truth together: looking away is worth what it is worth in `viubench run`."""
    runs = {}
    for name in ("items", "scoring"):
        viubench(cache, "run", "--engine", "blind", "--tasks", mini / name, "--out", tmp_path / name, "--quiet")
        runs[name] = read_results(tmp_path / name)
    for name, result in runs["items"].tasks.items():
        assert runs["scoring"].tasks[name].value == pytest.approx(result.value, abs=0.05), name
    assert runs["scoring"].tasks["viubench_ground_mirror"].value > 0


def test_the_group_and_the_standard_errors_are_lmms_eval_s_own(loaded: dict[Any, Any]) -> None:
    theirs = scores(loaded, mixed)
    heads = [row["score"] for name, row in theirs.items() if name != "viubench_mini"]
    assert theirs["viubench_mini"]["score"] == pytest.approx(np.mean(heads))
    assert theirs["viubench_count_easy"]["score_stderr_clt"] != "N/A"
    assert theirs["viubench_count_easy"]["circles_stderr_clt"] == "N/A", "its values hold no score of their own"


def shown_frames(folder: Path, doc: dict[str, Any]) -> list[tuple[np.ndarray[Any, Any], float]]:
    """Frames and rate of each video of a question, as decord reads them: all at once, then jumping about."""
    decord = pytest.importorskip("decord")
    read = []
    for path in lmms_scoring.visuals(doc, folder):
        reader = decord.VideoReader(path)
        frames = reader.get_batch(range(len(reader))).asnumpy()
        jumps = random.Random(0).sample(range(len(reader)), len(reader))
        assert np.array_equal(decord.VideoReader(path).get_batch(jumps).asnumpy(), frames[jumps])
        read.append((frames, reader.get_avg_fps()))
    return read


def test_the_files_hold_just_the_frames_viubench_shows(
    mini: Path, clips: Path, cache: Path, loaded: dict[Any, Any]
) -> None:
    items = {json.loads(line)["id"]: json.loads(line) for line in (mini / "items/items.jsonl").open()}
    protocol = Catalogue().protocol("viubench-128")
    store = FrameStore(cache / "frames")
    for doc in docs(loaded)[::3]:
        item = items[doc["id"]]
        how = Sampling(kind="indices", indices=tuple(item["params"]["indices"]))
        source = store.get(Clip(path=item["video"]), clips, how, protocol.resize)
        wanted = recipes.apply(item["params"], item["seed"], [source])
        read = shown_frames(mini, doc)
        assert len(read) == len(wanted)
        for video, (frames, fps) in zip(wanted, read, strict=True):
            assert np.array_equal(frames, video.pixels)
            told = video.times[0] + np.arange(len(frames)) / fps
            assert np.abs(told - np.array(video.times)).max() < 0.05, "times are even within a frame of the source"


def test_questions_about_seconds_are_on_the_clock_of_their_file(mini: Path, loaded: dict[Any, Any]) -> None:
    seen = 0
    for doc in docs(loaded)[::3]:
        sample = sample_in(doc)
        if "segment" not in sample.params:
            continue
        ((frames, fps),) = shown_frames(mini, doc)
        start, stop = sample.params["segment"]
        assert sample.params["times"][0] == 0
        assert sample.target == pytest.approx([start / fps, stop / fps], abs=0.05 + 0.5 / fps)
        assert doc["answer"] == "-".join(f"{second:.1f}" for second in sample.target)
        assert len(frames) == sample.params["frames"]
        seen += 1
    assert seen == 5


def test_the_items_on_the_file_clock_cannot_be_run(mini: Path, cache: Path) -> None:
    store = FrameStore(cache / "frames")
    for line in (mini / "scoring/items.jsonl").open():
        item = json.loads(line)
        with pytest.raises(MediaError, match="changed"):
            store.content(Clip(path=item["video"], content=item["params"]["content"]), mini)


def test_a_video_stands_where_the_question_names_it(mini: Path, loaded: dict[Any, Any]) -> None:
    (doc,) = [doc for doc in docs(loaded) if "jigsaw_easy" in doc["id"]][:1]
    (turn,) = lmms_scoring.messages(doc, mini)
    kinds = [part["type"] for part in turn["content"]]
    assert kinds == ["text", "video"] * 6 + ["text"]
    assert [part["url"] for part in turn["content"] if part["type"] == "video"] == lmms_scoring.visuals(doc, mini)
    assert turn["content"][0]["text"] == "Clip 1: "
    assert "Clip 6: (video 6)\n" in lmms_scoring.text(doc)


@given(front=st.integers(0, 3), later=st.integers(0, 3), quoted=st.integers(0, 2))
def test_marks_at_the_front_go_and_later_ones_are_numbered(front: int, later: int, quoted: int) -> None:
    question = "<video>\n" * front + "Compare" + " <video>," * (later + quoted) + " and <|im_end|> say."
    text = lmms_scoring.text({"question": question, "media": ["a.mp4"] * (front + later)})
    assert text.startswith("Compare")
    assert [f"(video {n})" in text for n in range(1, front + later + 1)] == [False] * front + [True] * later
    assert text.count("< video>") == quoted, "a quoted mark is text"
    assert "<|im_end|>" not in text


def test_the_model_arguments_follow_the_protocol() -> None:
    even = Protocol(protocol="even", resize=Resize(max_pixels=65536))
    rate = even.model_copy(update={"sampling": Sampling(kind="fps", fps=2, frames=32)})
    assert lmms_readme.arguments(even, written=True, frames=47) == {
        "max_pixels": 602112, "fps": 1000, "max_frame_num": 48, "max_new_tokens": 64
    }  # fmt: skip
    assert lmms_readme.arguments(even, written=False, frames=0) == {
        "max_pixels": 65536, "nframes": 48, "max_new_tokens": 64
    }  # fmt: skip
    assert lmms_readme.arguments(rate, written=False, frames=0) == {
        "max_pixels": 65536, "fps": "2", "max_frame_num": 32, "max_new_tokens": 64
    }  # fmt: skip


def test_the_readme_gives_one_command_for_all_of_it(mini: Path) -> None:
    text = (mini / "README.md").read_text()
    assert text.count("python -m lmms_eval") == 1
    assert "--tasks viubench_mini " in text
    assert "fps=1000,max_frame_num=48,max_new_tokens=16" in text
    assert "viubench score --tasks scoring" in text


# --- videos -----------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(
    frames=st.integers(1, 5), height=st.integers(16, 70), width=st.integers(16, 70),
    rate=st.fractions(Fraction(1, 50), 120, max_denominator=1000), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_written_video_gives_every_pixel_back(
    tmp_path_factory: pytest.TempPathFactory, frames: int, height: int, width: int, rate: Fraction, seed: int
) -> None:
    path = tmp_path_factory.mktemp("written") / "v.mp4"
    pixels = np.stack([blocks(height, width, 0, 255, seed + k) for k in range(frames)])
    media.write_video(path, pixels, rate)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        read = [(frame.to_ndarray(format="rgb24"), float(frame.time or 0)) for frame in container.decode(stream)]
    assert np.array_equal(np.stack([picture for picture, _ in read]), pixels)
    assert [time for _, time in read] == pytest.approx([k / float(rate) for k in range(frames)], abs=1e-3)
    assert [entry.name for entry in path.parent.iterdir()] == ["v.mp4"]


def test_a_single_frame_is_written_twice(clips: Path, cache: Path, tmp_path: Path) -> None:
    wanted = (clips, Clip(path="clip-00.mp4"), Sampling(kind="indices", indices=(7,)), Resize(max_pixels=16384))
    ((file),) = media.written(cache / "frames", grounded([1.0, 2.0]), [wanted], tmp_path)
    with av.open(str(tmp_path / file.path)) as container:
        first, second = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
    assert np.array_equal(first, second)
    assert (file.frames, file.start) == (2, pytest.approx(7 / 25))


def test_a_picture_is_shown_as_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "chart.png"), blocks(32, 48, 0, 255, 0))
    (tmp_path / "v.mp4").write_bytes(b"x")
    doc = {"question": "<video>\nWhich line of <video> is meant?", "media": ["v.mp4", "chart.png"]}
    (turn,) = lmms_scoring.messages(doc, tmp_path)
    assert [(part["type"], part.get("url")) for part in turn["content"] if part["type"] != "text"] == [
        ("video", str(tmp_path / "v.mp4")), ("image", str(tmp_path / "chart.png"))
    ]  # fmt: skip
    path, picture = lmms_scoring.visuals(doc, tmp_path)
    assert (path, picture.size) == (str(tmp_path / "v.mp4"), (48, 32))


# --- the clock --------------------------------------------------------------------------------------------------------

GROUND = Catalogue().task("viubench_ground_mirror")
IOU = evaluators.get("temporal_iou")


def grounded(target: Any, **params: Any) -> Sample:
    return Sample(id="q", task=GROUND.task, cluster="c", clips=(), question="<video>\nWhen?", target=target,
                  answer_text=IOU.canonical(target), params=params)  # fmt: skip


@given(
    start=st.floats(0.01, 20),
    windows=st.lists(st.tuples(st.floats(0, 30), st.floats(0.5, 30)), min_size=1, max_size=3),
    answer=st.tuples(st.floats(0, 60), st.floats(0.1, 30)),
)
def test_moving_the_clock_moves_no_score(
    start: float, windows: list[tuple[float, float]], answer: tuple[float, float]
) -> None:
    target = [[start + low, start + low + long] for low, long in windows]
    moved = lmms.on_file_clock(grounded(target), [File("a.mp4", 8, start)], GROUND, IOU)
    truth = IOU.parse(moved.answer_text, moved)
    assert truth is not None
    assert IOU.score(truth, moved)["iou"] == pytest.approx(1, abs=1e-6)
    low, high = start + answer[0], start + sum(answer)
    before = IOU.score(evaluators.Answer([low, high], "", (0, 0)), grounded(target))["iou"]
    after = IOU.score(evaluators.Answer([answer[0], sum(answer)], "", (0, 0)), moved)["iou"]
    assert after == pytest.approx(before, abs=0.01), "but for the rounding to milliseconds"


def test_only_questions_about_seconds_of_a_moved_file_change() -> None:
    sample = grounded([3.0, 8.0], times=[1.0, 5.0, 9.0])
    assert lmms.on_file_clock(sample, [File("a.mp4")], GROUND, IOU) is sample
    assert lmms.on_file_clock(sample, [File("a.mp4", 8, 1.0)], GROUND, evaluators.get("permutation")) is sample
    moved = lmms.on_file_clock(sample, [File("a.mp4", 8, 1.0)], GROUND, IOU)
    assert (moved.target, moved.answer_text, moved.params["times"]) == ([2.0, 7.0], "2.0-7.0", [0.0, 4.0, 8.0])
    named = GROUND.model_copy(update={"question": "<video>\nShown from {start} to {end}: when?"})
    with pytest.raises(ViubenchError, match="names seconds of the source"):
        lmms.on_file_clock(sample, [File("a.mp4", 8, 1.0)], named, IOU)


# --- data sets --------------------------------------------------------------------------------------------------------

PARTS_YAML = """\
task: parts_qa
domain: general
rows: {files: [test.jsonl]}
video: {path: ["{{ clip }}", "{{ other }}"], start: "{{ from }}", end: "{{ to }}", frame_fps: 4}
question: "{{ ask }}"
options: "{{ choices }}"
answer: "{{ answer }}"
evaluator: {name: choice}
metric: accuracy
protocol: fps2-32
average: room
group_by: {room: "{{ room }}"}
metadata: {version: 1, source: "drawn", license: "CC0"}
"""
WHEN_YAML = """\
task: when_qa
domain: general
rows: {files: [test.jsonl]}
video: {path: "{{ clip }}", start: "{{ from }}", end: "{{ to }}"}
question: "{{ ask }}"
answer: "{{ windows }}"
evaluator: {name: temporal_iou}
metric: miou
protocol: fps2-32
metadata: {version: 1, source: "drawn", license: "CC0"}
"""


@pytest.fixture(scope="module")
def world(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small data sets over whole videos, parts of them, a folder of frames, and two videos at once."""
    world = tmp_path_factory.mktemp("world")
    (world / "tasks").mkdir()
    (world / "tasks/parts_qa.yaml").write_text(PARTS_YAML)
    (world / "tasks/when_qa.yaml").write_text(WHEN_YAML)
    for name in ("parts_qa", "when_qa"):
        shutil.copytree(clips, world / "data" / name)
    (world / "data/parts_qa/frames").mkdir()
    for k in range(12):
        cv2.imwrite(str(world / f"data/parts_qa/frames/{k:03d}.png"), blocks(64, 96, 0, 255, k))
    whole, part = {"from": None, "to": None}, {"from": 2.0, "to": 5.0}
    kinds = [("clip-00.mp4", "", whole), ("clip-01.mp4", "", part), ("frames", "", whole),
             ("clip-00.mp4", "clip-01.mp4", whole)]  # fmt: skip
    things = ["a van", "a kite", "nothing"]
    rows = [
        {"clip": first, "other": other, **bounds, "ask": f"What is seen at {n}?", "choices": things,
         "answer": "ABC"[n % 3], "room": ("hall", "yard", "hall")[n % 3]}
        for n in range(12) for first, other, bounds in [kinds[n % 4]]
    ]  # fmt: skip
    (world / "data/parts_qa/test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [
        {"clip": "clip-00.mp4", "ask": "the van", "windows": [[2.5, 4.0], [4.25, 5.0]], **part},
        {"clip": "clip-01.mp4", "ask": "the kite", "windows": [1.0, 3.0], **whole},
    ]
    (world / "data/when_qa/test.jsonl").write_text("\n".join(map(json.dumps, asked)))
    return world


def exported(world: Path, cache: Path, names: str, out: Path, *words: object) -> Path:
    viubench(cache, "export", "lmms-eval", "--tasks", names, "--data-root", world / "data",
             "--include-path", world / "tasks", "--out", out, "--quiet", *words)  # fmt: skip
    return out


def test_a_data_set_keeps_its_own_videos_and_parts_are_written(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "parts_qa", tmp_path / "out")
    here = tasks(out, "viubench_parts_qa", cache / "datasets")
    by_kind = docs(here)[:4]
    data = world / "data/parts_qa"
    assert by_kind[0]["media"] == [str(data / "clip-00.mp4")]
    assert by_kind[3]["media"] == [str(data / "clip-00.mp4"), str(data / "clip-01.mp4")]
    part, frames = ((out / doc["media"][0]) for doc in by_kind[1:3])
    assert part.parent == frames.parent == out / "media"
    with av.open(str(part)) as container:
        assert container.streams.video[0].frames == 6, "2 a second of 3 seconds"
    with av.open(str(frames)) as container:
        assert container.streams.video[0].frames == 6, "2 a second of 12 frames, 4 a second"
    run = ours(cache, tmp_path / "run", docs(here), mixed, "--tasks", "parts_qa", "--data-root", world / "data",
               "--include-path", world / "tasks")  # fmt: skip
    theirs = scores(here, mixed)
    assert_equal(theirs, run)
    rooms = read_results(run).tasks["parts_qa"].groups["room"]
    assert theirs["viubench_parts_qa"]["score"] == pytest.approx(np.mean([row["value"] for row in rooms.values()]))
    assert "fps=2,max_frame_num=32" in (out / "README.md").read_text()
    assert "--tasks parts_qa --data-root DATA" in (out / "README.md").read_text()


def test_copied_videos_make_the_folder_complete(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "parts_qa", tmp_path / "out", "--copy")
    rows = [json.loads(line) for line in (out / "viubench_parts_qa.jsonl").open()]
    assert all((out / name).is_file() and name.startswith("media/") for row in rows for name in row["media"])
    assert (out / rows[0]["media"][0]).samefile(world / "data/parts_qa/clip-00.mp4")
    moved = out.rename(tmp_path / "elsewhere")
    here = tasks(moved, "viubench_parts_qa", cache / "datasets")
    assert scores(here, oracle)["viubench_parts_qa"]["score"] == 1
    assert all(Path(path).is_file() for doc in docs(here) for path in lmms_scoring.visuals(doc, moved))


def test_windows_of_a_part_are_on_the_clock_of_its_file(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "when_qa", tmp_path / "out")
    here = tasks(out, "viubench_when_qa", cache / "datasets")
    part, whole = (sample_in(doc) for doc in docs(here))
    assert part.target == [[0.5, 2.0], [2.25, 3.0]]
    assert whole.target == [1.0, 3.0]
    assert scores(here, oracle)["viubench_when_qa"]["score"] == 1


@pytest.mark.parametrize("name", ["vinoground", "mlvu", "qvhighlights", "cvbench_crossvideo", "tempcompass_yes_no"])
def test_the_benchmarks_of_the_catalogue_score_alike(name: str, clips: Path, cache: Path, tmp_path: Path) -> None:
    """Units of several samples, macro averages, several true windows, published rules: on the invented rows."""
    copied(name, tmp_path / "data")
    task = Catalogue().task(name)
    for sample in tables.read(task, tmp_path / "data").samples:
        for clip in sample.clips:
            path = tmp_path / "data" / (task.data or name) / clip.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                shutil.copyfile(clips / "clip-00.mp4", path)
    viubench(cache, "export", "lmms-eval", "--tasks", name, "--data-root", tmp_path / "data", "--out",
             tmp_path / "out", "--quiet")  # fmt: skip
    here = tasks(tmp_path / "out", lmms.exported_name(name), cache / "datasets")
    assert scores(here, oracle)[lmms.exported_name(name)]["score"] == 1
    run = ours(cache, tmp_path / "run", docs(here), mixed, "--tasks", name, "--data-root", tmp_path / "data")
    assert_equal(scores(here, mixed), run)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_names_never_meet_those_of_lmms_eval() -> None:
    names = {name: lmms.exported_name(name) for name in ("mvbench", "viubench-mini", "viubench_jigsaw_easy")}
    assert list(names.values()) == ["viubench_mvbench", "viubench_mini", "viubench_jigsaw_easy"]


def test_a_missing_video_stops_the_export(world: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    (tmp_path / "world/data/parts_qa/clip-01.mp4").unlink()
    with pytest.raises(ViubenchError, match="6 of 12 questions have videos that cannot be used"):
        exported(tmp_path / "world", cache, "parts_qa", tmp_path / "out")
    assert not (tmp_path / "out/viubench_parts_qa.yaml").exists()


def test_a_part_beyond_the_video_stops_the_export(world: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    rows = tmp_path / "world/data/when_qa/test.jsonl"
    rows.write_text(rows.read_text().replace('"from": 2.0, "to": 5.0', '"from": 70.0, "to": 80.0'))
    with pytest.raises(ViubenchError, match=r"a video cannot be used: clip-00\.mp4: too short"):
        exported(tmp_path / "world", cache, "when_qa", tmp_path / "out")


def test_an_export_that_was_cut_off_goes_on(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "parts_qa", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (out / "media").iterdir()}
    lost = sorted(before)[0]
    lost.unlink()
    (out / "viubench_parts_qa.yaml").unlink()
    exported(world, cache, "parts_qa", out)
    after = {path: path.stat().st_mtime_ns for path in (out / "media").iterdir()}
    assert {path for path in before if after[path] != before[path]} == {lost}
    assert (out / "viubench_parts_qa.yaml").exists()


def test_suites_of_benchmarks_are_groups_of_groups() -> None:
    suite = Catalogue().suites["downstream"]
    configs = lmms._group_configs(suite)
    assert "aggregate_metric_list" not in configs["viubench_downstream"]
    part = configs["viubench_downstream_group_tempcompass"]
    assert part["task"] == [f"viubench_tempcompass_{kind}" for kind in ("multi_choice", "yes_no", "caption_matching")]
    assert configs["viubench_downstream"]["task"] == [name for name in configs if name != "viubench_downstream"]


def test_every_task_is_named_once(world: Path, clips: Path, cache: Path, tmp_path: Path) -> None:
    (world / "tasks/suites").mkdir(exist_ok=True)
    for name in ("rooms", "again"):
        (world / f"tasks/suites/{name}.yaml").write_text(f"suite: {name}\ntasks: [parts_qa]\n")
    out = exported(world, cache, "rooms,again,when_qa", tmp_path / "out")
    assert "--tasks viubench_rooms,viubench_when_qa --model" in (out / "README.md").read_text()
    here = tasks(out, "viubench_rooms,viubench_when_qa", cache / "datasets")
    assert scores(here, oracle)["viubench_rooms"]["score"] == 1
    (world / "tasks/suites/again.yaml").write_text("suite: parts-qa\ntasks: [when_qa]\n")
    with pytest.raises(ViubenchError, match="'viubench_parts_qa' would be the name of two"):
        exported(world, cache, "parts-qa,parts_qa", tmp_path / "other")


def test_without_viubench_the_folder_says_what_is_missing(mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lmms_eval.utils import load_yaml_config

    monkeypatch.setitem(sys.modules, "viubench.export", None)
    with pytest.raises(ImportError, match="pip install viubench into the environment that lmms-eval runs in"):
        load_yaml_config(str(mini / "viubench_count_easy.yaml"), mode="full")
