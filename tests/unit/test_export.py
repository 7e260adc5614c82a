"""VIUBench exported: lossless videos, a clock that fits them, and inside lmms-eval the scores of viubench itself."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_tasks import Answering, assert_equal, docs, junk, mixed, oracle, ours, sample_in, scores, tasks, viubench
from hypothesis import given
from hypothesis import strategies as st

from viubench.errors import MediaError, ViubenchError
from viubench.export import lmms, lmms_readme, lmms_scoring
from viubench.pretext import generate
from viubench.runner.config import EvalConfig
from viubench.runner.plan import Plan
from viubench.schema import Clip, Item, Protocol, Resize, Sampling
from viubench.storage.run_dir import read_records, read_results
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

pytest.importorskip("lmms_eval")
pytestmark = pytest.mark.xdist_group("lmms_eval")


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
        assert 0.1 < value < 0.9
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
    store = FrameCache(cache / "frames")
    for doc in docs(loaded)[::3]:
        item = items[doc["id"]]
        how = Sampling(kind="indices", indices=tuple(item["params"]["indices"]))
        source = store.get(Clip(path=item["video"]), clips, how, protocol.resize)
        wanted = generate.apply(Item.model_validate(item).params, item["seed"], [source])
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
    store = FrameCache(cache / "frames")
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


def test_names_never_meet_those_of_lmms_eval() -> None:
    names = {name: lmms.exported_name(name) for name in ("mvbench", "viubench-mini", "viubench_jigsaw_easy")}
    assert list(names.values()) == ["viubench_mvbench", "viubench_mini", "viubench_jigsaw_easy"]


def test_lmms_eval_s_own_tasks_stay_there(tmp_path: Path) -> None:
    task = Catalogue().task("viubench_jigsaw_easy").model_copy(update={"task": "lmms:videomme"})
    plan = Plan([], {}, {}, tasks={task.task: task})
    with pytest.raises(ViubenchError, match="lmms-eval's own task"):
        lmms.export(plan, EvalConfig(out=tmp_path))


def test_suites_of_benchmarks_are_groups_of_groups() -> None:
    suite = Catalogue().suites["downstream"]
    configs = lmms._group_configs(suite)
    assert "aggregate_metric_list" not in configs["viubench_downstream"]
    part = configs["viubench_downstream_group_tempcompass"]
    assert part["task"] == [f"viubench_tempcompass_{kind}" for kind in ("multi_choice", "yes_no", "caption_matching")]
    assert configs["viubench_downstream"]["task"] == [name for name in configs if name != "viubench_downstream"]


def test_without_viubench_the_folder_says_what_is_missing(mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lmms_eval.utils import load_yaml_config

    monkeypatch.setitem(sys.modules, "viubench.export", None)
    with pytest.raises(ImportError, match="pip install viubench into the environment that lmms-eval runs in"):
        load_yaml_config(str(mini / "viubench_count_easy.yaml"), mode="full")
