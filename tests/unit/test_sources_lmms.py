"""The lmms-eval bridge on small tasks of our own in lmms-eval's format: samples, pictures, scores, its own numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmms_listing
import numpy as np
import pytest
import yaml

from viubench.datasets.dataset import Dataset
from viubench.engines.base import Request
from viubench.engines.prompts import Showing
from viubench.engines.server import payload as server_payload
from viubench.errors import EngineError, MediaError, ViubenchError
from viubench.schema import Clip, Decoding, Record, Resize, Sample, Sampling
from viubench.scoring.grade import grade
from viubench.video.frame_cache import FrameCache

pytest.importorskip("lmms_eval")

from viubench.datasets.lmms import dataset
from viubench.datasets.lmms.evaluator import LmmsEval, NoRule

pytestmark = pytest.mark.xdist_group("lmms_eval")

CODE = '''
import random, sys
from PIL import Image

def picture(doc):
    return [Image.new("L", (48, 32), doc["shade"]), Image.new("RGB", (40, 40), (doc["shade"], 0, 0))]

def video(doc):
    if doc["shade"] == 30:
        sys.exit(f"video path:{doc['video']} does not exist, please check")
    return [doc["video"]]

def clip_of(doc):
    return [{"type": "video", "url": doc["video"], "video_start": 1.0, "video_end": 2.5}]

def sound(doc):
    return ["talk.wav"]

def ask(doc, lmms_eval_specific_kwargs):
    return lmms_eval_specific_kwargs["pre"] + doc["question"]

def messages(doc):
    turn = [
        {"type": "text", "text": "Is <video> here? "},
        {"type": "image", "url": doc["still"]},
        {"type": "text", "text": " or "},
        {"type": "video", "url": doc["video"]},
        {"type": "text", "text": "?"},
    ]
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": turn}]

def turns(doc):
    return [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]

def judged(doc, results):
    """Structured values, no `score`: only the aggregation knows what they are worth."""
    return {"theirs": {"said": results[0], "answer": doc["answer"], "kind": doc["kind"]}}

def by_kind(values):
    """Percent, every kind of the three weighing the same."""
    kinds = {}
    for value in values:
        kinds.setdefault(value["kind"], []).append(value["said"] == value["answer"])
    return 100 * sum(sum(hits) / len(hits) for hits in kinds.values()) / 3

def rated(doc, results):
    return {"wrong": {"score": 0.25}, "stars": float(results[0]), "sent": results, "unknown": "x"}

def mean_score(values):
    return sum(value["score"] for value in values) / len(values)

def lucky(doc, results):
    return {"acc": float(results[0] == "A" or random.random() < 0.5)}

def fragile(doc, results):
    return {"acc": float(int(results[0]) == doc["shade"])}

def written(values, args):
    open(args.output_path + "/submission.json", "w").close()
    return None
'''
JUDGE = """
from pathlib import Path

def asked(doc, results):  # would call an llm_judge
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write(results[0])
    return {"acc": 0.5}
"""
PROCESS = [{"metric": "theirs", "aggregation": "!by_kind", "higher_is_better": True}]
ACC = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
RATED = [
    {"metric": "wrong", "aggregation": "!mean_score", "higher_is_better": False},
    {"metric": "stars", "aggregation": "mean", "higher_is_better": True},
    {"metric": "sent", "aggregation": "!written", "higher_is_better": True},
]
TASKS: dict[str, dict[str, Any]] = {
    "x_pictures": {"doc_to_visual": "!picture", "process_results": "!judged", "metric_list": PROCESS},
    "x_video": {"doc_to_visual": "!video", "process_results": "!judged", "metric_list": PROCESS, "cluster_key": "kind"},
    "x_bounds": {"doc_to_visual": "!clip_of"},
    "x_text": {"doc_to_target": "{{ answer }}", "process_results": "!rated", "metric_list": RATED},
    "x_messages": {"doc_to_visual": "!video", "doc_to_messages": "!messages"},
    "x_worded": {
        "doc_to_text": "!ask",
        "lmms_eval_specific_kwargs": {"default": {"pre": "Q "}, "other": {"pre": "R "}},
    },
    "x_lucky": {"process_results": "!lucky", "repeats": 4},
    "x_fragile": {"process_results": "!fragile"},
    "x_filtered": {
        "process_results": "!judged",
        "metric_list": PROCESS,
        "filter_list": [
            {
                "name": "last",
                "filter": [{"function": "regex", "regex_pattern": "is ([A-D])"}, {"function": "take_first"}],
            }
        ],
    },
    "x_thinking": {"process_results": "!judged", "metric_list": PROCESS, "reasoning_tags": [["<think>", "</think>"]]},
    "x_judge": {"process_results": "!function judge.asked"},
    "x_sound": {"doc_to_visual": "!sound"},
    "x_turns": {"doc_to_messages": "!turns"},
    "x_likely": {"output_type": "multiple_choice", "doc_to_choice": ["A", "B"]},
    "x_nowhere": {"dataset_kwargs": {"data_files": {"test": "/nowhere/none.jsonl"}}},
}


class Bridge:
    """The tasks above, each in a YAML file, and what our side makes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tasks = folder / "tasks"
        tasks.mkdir()
        (tasks / "code.py").write_text(CODE)
        (tasks / "judge.py").write_text(JUDGE)
        (folder / "seen.png").write_bytes(_png(60, 40))
        rows = [self.row(number) for number in range(6)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        base = {
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{ question }}",
            "doc_to_target": "answer",
            "metric_list": ACC,
            "generation_kwargs": {"max_new_tokens": 7, "temperature": 0, "until": ["\n"]},
        }
        for name, changes in TASKS.items():
            lines = yaml.safe_dump({"task": name} | base | changes)
            for word in [w for w in CODE.replace("(", " ").split() if f"def {w}(" in CODE]:
                lines = lines.replace(f"'!{word}'", f"!function code.{word}")
            lines = lines.replace("'!function judge.asked'", "!function judge.asked")
            (tasks / f"{name}.yaml").write_text(lines)
        group = {"group": "x_group", "task": ["x_text", "x_bounds"]}
        (tasks / "group.yaml").write_text(yaml.safe_dump(group))

    def row(self, number: int) -> dict[str, Any]:
        return {
            "question": f"Which of the {number}?",
            "answer": "ABC"[number % 3],
            "kind": ("near", "far")[number % 2],
            "shade": 10 * number,
            "video": str(self.folder / f"clips/v{number % 2}.mp4"),
            "still": str(self.folder / "seen.png"),
        }

    def read(self, *names: str, **options: Any) -> Dataset:
        return dataset.read(names, pictures=self.folder / "pictures", include_paths=[self.folder / "tasks"], **options)

    def scores(self, name: str, index: int, text: str) -> dict[str, float]:
        evaluator, sample = self.evaluator(name), self.read(name).samples[index]
        answer = evaluator.parse(text, sample)
        assert answer is not None
        return evaluator.score(answer, sample)

    def evaluator(self, name: str) -> LmmsEval:
        return LmmsEval(task=name, include=[str(self.folder / "tasks")])


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("bridge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("LMMS_EVAL_DATASETS_CACHE", str(folder / "hf" / "datasets"))
        patch.setattr("tenacity.nap.time.sleep", lambda seconds: None)  # lmms-eval waits between tries
        lmms_listing.keep(patch.setattr)
        yield Bridge(folder)


def _png(width: int, height: int) -> bytes:
    import cv2

    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def records(task: str, texts: list[str | None]) -> list[Record]:
    return [
        Record(task=task, id=f"{task}-{number}", cluster="c", status="ok", response=text)
        for number, text in enumerate(texts)
    ]


# --- samples --------------------------------------------------------------------------------------------------


def test_a_document_becomes_a_sample(bridge: Bridge) -> None:
    built = bridge.read("x_video")
    sample = built.samples[1]
    assert (sample.id, sample.task, sample.cluster) == ("lmms:x_video-1", "lmms:x_video", "far")
    assert sample.question == "<video>Which of the 1?"
    assert (sample.target, sample.answer_text, sample.params) == ("B", "B", {"doc": 1})
    assert (built.videos / sample.clips[0].path) == bridge.folder / "clips/v1.mp4"
    task = built.tasks["lmms:x_video"]
    assert (task.generation_kwargs.max_new_tokens, task.generation_kwargs.temperature) == (7, 0.0)
    assert (task.metric, task.evaluator.name, task.evaluator.params["task"]) == ("theirs", "lmms_eval", "x_video")


def test_a_missing_video_is_a_clip_that_is_not_there(bridge: Bridge) -> None:
    """Its code ends the process; here the sample counts as wrong, and its question is known."""
    built = bridge.read("x_video")
    sample = built.samples[3]
    assert sample.question == "<video>Which of the 3?"
    with pytest.raises(MediaError) as raised:
        FrameCache(bridge.folder / "store").content(sample.clips[0], built.videos)
    assert raised.value.fault == "missing"
    assert raised.value.path.endswith("v1.mp4")


def test_pictures_are_kept_once_and_shown_as_images(bridge: Bridge) -> None:
    built = bridge.read("x_pictures")
    assert built.samples[0].question == "<video><video>Which of the 0?"
    kept = sorted((bridge.folder / "pictures").iterdir())
    assert len(kept) == 12
    times = [path.stat().st_mtime_ns for path in kept]
    assert bridge.read("x_pictures").samples == built.samples
    assert [path.stat().st_mtime_ns for path in kept] == times
    store = FrameCache(bridge.folder / "store")
    for how in (Sampling(), Sampling(kind="fps", fps=2, frames=32)):
        grey, red = (store.get(c, built.videos, how, Resize(min_pixels=1024)) for c in built.samples[5].clips)
        assert grey.still
        assert (grey.pixels[0] == 50).all()
        assert red.pixels[0, 0, 0].tolist() == [50, 0, 0], "in red, green, blue"
        assert (len(grey), grey.pixels.shape[1:]) == (1, (32, 64, 3)), "sides are multiples of the patch"


def test_a_picture_among_videos_keeps_its_place_on_a_server(bridge: Bridge) -> None:
    built = bridge.read("x_messages")
    sample = built.samples[0]
    assert sample.question == "Be brief.\n\nIs < video> here? <video> or <video>?"
    assert [bool(clip.frame_files) for clip in sample.clips] == [True, False]
    store = FrameCache(bridge.folder / "store")
    still = store.get(sample.clips[0], built.videos, Sampling(), Resize())
    from test_engines_prompts import video

    request = Request(sample, (still, video([0.0, 1.0])), ("s", "v"), Decoding())
    for medium, kinds in (
        ("video", ["text", "image_url", "text", "video_url", "text"]),
        ("images", ["text", "image_url", "text", "text", "image_url", "text", "image_url", "text"]),
    ):
        content = server_payload.messages(request, format_="png", showing=Showing(medium))[0]["content"]
        assert [part["type"] for part in content] == kinds


def test_bounds_limit_a_clip_and_a_text_needs_none(bridge: Bridge) -> None:
    built = bridge.read("x_group", limit=2)
    assert sorted(built.tasks) == ["lmms:x_bounds", "lmms:x_text"]
    by_id = {sample.id: sample for sample in built.samples}
    assert len(by_id) == 4
    clip = by_id["lmms:x_bounds-1"].clips[0]
    assert (clip.start, clip.end) == (1.0, 2.5)
    assert by_id["lmms:x_text-0"].clips == ()
    assert by_id["lmms:x_text-0"].question == "Which of the 0?"


def test_a_variant_words_the_question(bridge: Bridge) -> None:
    assert bridge.read("x_worded").samples[0].question == "Q Which of the 0?"
    assert bridge.read("x_worded", variant="other").samples[0].question == "R Which of the 0?"


def test_a_link_that_leads_elsewhere_stays_inside_the_root(bridge: Bridge, tmp_path: Path) -> None:
    real = tmp_path / "blobs" / "4f2c"
    real.parent.mkdir()
    real.write_bytes(b"video")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "a.mp4").symlink_to(real)
    root = dataset._root([str(tmp_path / "home" / "a.mp4")], tmp_path)
    assert root == tmp_path
    assert FrameCache(tmp_path / "store").content(Clip(path="home/a.mp4"), root)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x_vide", "no task 'x_vide'"),
        ("x_likely", "of the kind multiple_choice"),
        ("x_sound", "needs audio"),
        ("x_turns", "several turns"),
        ("x_nowhere", "could not load x_nowhere: FileNotFoundError"),
    ],
)
def test_what_cannot_be_run_says_why(bridge: Bridge, name: str, sentence: str) -> None:
    with pytest.raises(ViubenchError) as raised:
        bridge.read(name)
    assert sentence in raised.value.message


# --- scores ---------------------------------------------------------------------------------------------------


def test_a_structured_value_is_worth_its_share_of_a_right_answer(bridge: Bridge) -> None:
    """One right answer alone aggregates to 33.3 here, since two kinds are not asked."""
    assert bridge.scores("x_pictures", 1, "B") == {"score": pytest.approx(1.0)}
    assert bridge.scores("x_pictures", 1, "A") == {"score": 0.0}


def test_numbers_and_score_keys_are_read_as_they_are(bridge: Bridge) -> None:
    """The first metric where higher is better leads; one where lower is better counts as its rest."""
    assert bridge.scores("x_text", 0, "0.75") == {"score": 0.75, "wrong": 0.75}


def test_filters_and_reasoning_tags_are_applied(bridge: Bridge) -> None:
    assert bridge.scores("x_filtered", 0, "not B, it is A, surely")["score"] == 1.0
    assert bridge.scores("x_thinking", 0, "<think>B?</think> A")["score"] == 1.0


def test_a_judge_is_asked_about_answers_only(bridge: Bridge) -> None:
    assert bridge.scores("x_judge", 0, "mine")["score"] == 0.5
    assert (bridge.folder / "tasks" / "calls").read_text() == "mine", "not about what a true answer would get"


def test_what_it_draws_at_random_is_the_same_again(bridge: Bridge) -> None:
    samples = bridge.read("x_lucky").samples
    random.seed(1)
    first = [bridge.scores("x_lucky", number, "no")["score"] for number in range(len(samples))]
    state = random.getstate()
    assert [bridge.scores("x_lucky", number, "no")["score"] for number in range(len(samples))] == first
    assert random.getstate() == state, "nobody else's draws are changed"
    assert bridge.read("x_lucky").notes == (
        "lmms:x_lucky: lmms-eval asks each question 4 times, here it is asked once",
    )


def test_code_that_fails_on_an_answer_fails_that_sample(bridge: Bridge) -> None:
    assert bridge.scores("x_fragile", 2, "20")["score"] == 1.0
    with pytest.raises(EngineError, match="x_fragile 2: ValueError"):
        bridge.scores("x_fragile", 2, "twenty")


def test_every_text_is_an_answer_also_a_cut_one(bridge: Bridge) -> None:
    sample = bridge.read("x_pictures").samples[0]
    evaluator = bridge.evaluator("x_pictures")
    assert grade("A", "length", sample, evaluator).status == "ok"
    assert grade("I cannot say", "stop", sample, evaluator).scores == {"score": 0.0}
    assert grade(" \n", "stop", sample, evaluator).status == "unparsed"
    assert grade("", "length", sample, evaluator).status == "truncated"


def test_the_official_number_is_the_tasks_own_aggregation(bridge: Bridge) -> None:
    """Kinds near (0, 2, 4) and far (1, 3, 5): 2 of 3 and 1 of 3 right, the third kind counts as 0."""
    bridge.read("x_pictures")
    given = records("lmms:x_pictures", ["A", "B", "C", "B", None, "B"])
    assert bridge.evaluator("x_pictures").official(given[::-1]) == {"theirs": pytest.approx((2 / 3 + 1 / 3) / 3)}


def test_a_metric_that_is_no_number_is_left_out_with_a_warning(bridge: Bridge) -> None:
    given = records("lmms:x_text", ["1", "0", "1", "1", "0", "0"])
    with pytest.warns(UserWarning, match="x_text sent is no number"):
        assert bridge.evaluator("x_text").official(given) == {"stars": 0.5, "wrong": 0.25}
    assert not Path("submission.json").exists()


def test_no_random_rule_is_made_up(bridge: Bridge) -> None:
    evaluator, samples = bridge.evaluator("x_text"), bridge.read("x_text").samples
    for ask in (lambda: evaluator.chance(samples[0]), lambda: evaluator.blind(samples)):
        with pytest.raises(NotImplementedError, match="publishes no random rule"):
            ask()
    with pytest.raises(NoRule):
        evaluator.guess(samples[0], random.Random(0))


def test_an_evaluator_loads_nothing_before_the_first_score() -> None:
    evaluator = LmmsEval(task="no_such_task")
    sample = Sample(id="a-0", task="a", cluster="c", clips=(), question="q", target="A", answer_text="A")
    assert evaluator.aggregate([{"score": 1.0}, {"score": 0.0}]) == {"score": 0.5}
    assert evaluator.parse("A", sample) is not None
