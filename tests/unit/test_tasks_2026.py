"""The benchmarks that reports of 2026 add, on their example rows: what is read, and the traps of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_rows import CATALOGUE, EXAMPLES, content, copied, samples_of, score, write_lines

import evaluators
from evaluators.plugins import registered
from viubench.datasets import loader, row_files
from viubench.runner.validate import fault
from viubench.schema import Sample
from viubench.scoring.grade import grade
from viubench.tasks import templating

CHOICE = {
    "videomme_subtitles": (12, 2700), "videomme_interleaved": (12, 2700),
    "videomme_v2": (16, 3200), "egoschema": (13, 500), "mlvu_test": (18, None),
    "videoeval_pro_mcq": (13, 1289), "motionbench": (18, None), "perceptiontest": (13, 19140), "nextqa": (14, 8564),
    "tomato": (14, 1484), "tvbench": (20, 2525), "mmvu": (13, 625), "video_holmes": (14, 1837),
    "vsibench_relative_distance": (12, 710), "vsibench_relative_direction": (12, 968), "vsibench_route": (12, 194),
    "vsibench_appearance_order": (12, 618),
}  # fmt: skip
NUMBER = {
    "vsibench_object_count": (12, 565), "vsibench_object_distance": (12, 834), "vsibench_object_size": (12, 953),
    "vsibench_room_size": (12, 288),
}  # fmt: skip
GROUNDING = {"timelens_charades": (12, 3363), "timelens_activitynet": (12, 4500), "timelens_qvhighlights": (12, 1541)}
JUDGED = {"mmvu_open": (13, 375), "videoeval_pro": (13, 1289)}
RULED = CHOICE | NUMBER | GROUNDING
ALL = RULED | JUDGED
JUNK = ("", ")", "(", "...", "A man walks past the house.", "I cannot tell from this video.")


def by_id(name: str, root: Path = EXAMPLES) -> dict[str, Sample]:
    return {sample.id.removeprefix(f"{name}-"): sample for sample in samples_of(name, root)}


@pytest.mark.parametrize("name", ALL)
def test_rows_are_read_and_the_task_says_where_it_is_from(name: str) -> None:
    task, (rows, published) = CATALOGUE.task(name), ALL[name]
    built = loader.read(task, EXAMPLES)
    assert len({sample.id for sample in built.samples}) == rows
    assert task.rows is not None
    assert task.rows.expected == published
    assert all(set(sample.groups) == set(task.group_by) for sample in built.samples)
    assert all(sample.question.startswith("<video>\n") for sample in built.samples)
    assert all((task.dataset_path, task.metadata.paper, task.metadata.source, task.metadata.license))
    assert set(task.alternatives) <= set(registered("viubench.rules"))
    assert bool(task.alternatives) == (name not in JUDGED)


@pytest.mark.parametrize("name", RULED)
def test_the_true_answers_score_all_and_no_constant_answer_or_junk_does(name: str) -> None:
    samples = samples_of(name)
    assert score(name, samples, lambda sample: sample.answer_text) == (1.0, 0)
    assert score(name, samples, lambda sample: f"The answer is {sample.answer_text}.") == (1.0, 0)
    constant = samples[0].answer_text
    assert score(name, samples, lambda _: constant)[0] < 0.8
    for junk in JUNK:
        assert score(name, samples, lambda _, junk=junk: junk) == (0.0, len(samples))  # type: ignore[misc]


@pytest.mark.parametrize("name", JUDGED)
def test_an_open_answer_waits_for_a_judge(name: str) -> None:
    task = CATALOGUE.task(name)
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    for sample in samples_of(name):
        assert sample.options == ()
        assert grade(sample.answer_text, "stop", sample, evaluator).status == "unjudged"


def test_the_suite_counts_each_benchmark_once() -> None:
    suite = CATALOGUE.suites["video-2026"]
    assert set(suite.tasks) == set(RULED) - {"videomme_interleaved"}  # the same questions as with subtitles before
    assert {task: share for task, share in suite.shares().items() if task.startswith("vsibench")} == dict.fromkeys(
        CATALOGUE.suites["vsibench"].tasks, pytest.approx(1 / 14 / 8)
    )
    assert not set(suite.tasks) & set(CATALOGUE.suites["downstream"].tasks)


# --- one by one -------------------------------------------------------------------------------------------------


def test_videomme_v2_scores_its_groups_and_not_its_questions() -> None:
    rows = by_id("videomme_v2")
    assert {sample.params["letters"][-1] for sample in rows.values()} == {"H"}
    last_wrong: Callable[[Sample], str] = lambda s: "" if s.groups["place"] == "4" else s.answer_text  # noqa: E731
    chain, facets, fork, join = 9 / 16, 9 / 16, 7 / 12, 5 / 10
    assert score("videomme_v2", list(rows.values()), last_wrong)[0] == pytest.approx((chain + facets + fork + join) / 4)


def test_vsibench_directions_are_the_mean_of_three_difficulties() -> None:
    samples = [s for s in samples_of("vsibench_relative_direction") if s.id not in ("vsibench_relative_direction-63",)]
    easy: Callable[[Sample], str] = lambda s: s.answer_text if s.groups["difficulty"] == "easy" else ""  # noqa: E731
    assert score("vsibench_relative_direction", samples, easy)[0] == pytest.approx(1 / 3)


def test_vsibench_numbers_are_worth_how_near_they_are() -> None:
    sample = next(iter(by_id("vsibench_room_size").values()))
    assert sample.target == 9.5
    evaluator = evaluators.get("number")
    assert grade("10 square meters", "stop", sample, evaluator).scores == {"mra": 0.9}


def test_numbers_that_are_as_good_as_each_other_are_no_fault_of_a_task(tmp_path: Path) -> None:
    data = copied("vsibench_room_size", tmp_path)
    (file,) = data.glob("test-*")
    row = {"id": 0, "dataset": "scannet", "scene_name": "inv", "question": "How large is it?", "options": None}
    row |= {"question_type": "room_size_estimation"}
    write_lines(file, [row | {"ground_truth": truth} for truth in ("10.0", "10.2", "31.4")])
    assert fault(CATALOGUE.task("vsibench_room_size"), CATALOGUE, tmp_path) is None


def test_motionbench_leaves_out_the_hidden_half_and_keeps_what_its_video_is() -> None:
    raw = row_files.read(EXAMPLES / "motionbench/video_info.meta.jsonl")
    assert sum(question["answer"] == "NA" for video in raw for question in video["qa"]) == 3
    sample = by_id("motionbench")["900"]
    assert (sample.cluster, sample.groups["video_type"]) == ("invmotion0", "medical")
    assert sample.groups["question_type"] == ("Action Order",)


def test_video_holmes_fields_whose_names_are_no_words() -> None:
    sample = by_id("video_holmes")["0"]
    assert sample.clips[0].path == "videos_cropped/invFilm00.mp4"
    assert templating.value("{{ _row['video ID'] }}", {"video ID": "x"}) == "x"


def test_mmvu_is_one_file_of_two_tasks() -> None:
    choice, open_ended = by_id("mmvu"), by_id("mmvu_open")
    assert not set(choice) & set(open_ended)
    assert choice["validation_902"].clips[0].path == "videos/Computer_Science/91.mp4"
    assert choice["validation_902"].groups == {"subject": "Computer Science", "discipline": "Engineering"}
    disciplines = {s.groups["discipline"] for s in (*choice.values(), *open_ended.values())}
    assert disciplines == {"Science", "Engineering", "Healthcare", "Humanities and Social Science"}


def test_timelens_keeps_equal_queries_and_strips_them() -> None:
    rows = by_id("timelens_activitynet")
    first, second = rows["v_Inv3nt00001-0"], rows["v_Inv3nt00001-1"]
    assert (first.question, first.target) == (second.question, second.target)
    assert first.params["times"] == [0.0, 118.4]


# --- the layouts that a benchmark comes in -----------------------------------------------------------------------


def as_repack(tmp_path: Path, name: str, file: str, row_of: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """The example rows of a task as another layout has them, in a data root of their own."""
    data = copied(name, tmp_path)
    rows = list(row_files.rows(CATALOGUE.task(name), data))
    for path in [path for path in data.rglob("*") if path.suffix in row_files.SUFFIXES]:
        path.unlink()
    write_lines(data / file, [row_of(row) for row in rows])
    return tmp_path


def same(name: str, root: Path) -> bool:
    return [content(s) for s in samples_of(name, root)] == [content(s) for s in samples_of(name)]


def test_timelens_repack_is_read_too(tmp_path: Path) -> None:
    def row_of(row: dict[str, Any]) -> dict[str, Any]:
        span = json.dumps(row["relevant_windows"]) if row["_index"] % 2 else row["relevant_windows"]
        return {"video_path": f"charades/{row['vid']}.mp4", "query": row["query"], "span": span}

    root = as_repack(tmp_path, "timelens_charades", "data/charades-00000-of-00001.jsonl", row_of)
    samples = samples_of("timelens_charades", root)
    assert [(s.question, s.target) for s in samples] == [
        (s.question, s.target) for s in samples_of("timelens_charades")
    ]
    assert not any("times" in sample.params for sample in samples), "it does not say how long a video is"


def test_mmvu_repack_is_read_too(tmp_path: Path) -> None:
    def row_of(row: dict[str, Any]) -> dict[str, Any]:
        return {key: row[key] for key in ("id", "question_type", "question", "choices", "answer")} | {
            "video_path": row["video"].split("/resolve/main/")[1]
        }

    assert same("mmvu", as_repack(tmp_path, "mmvu", "data/validation-00000-of-00001.jsonl", row_of))


def test_nextqa_repack_is_read_too(tmp_path: Path) -> None:
    def row_of(row: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in row.items() if k[0] != "_"} | {
            "answer": int(row["answer"]),
            "video": int(row["video"]),
        }

    assert same("nextqa", as_repack(tmp_path, "nextqa", "MC/test-00000-of-00001.jsonl", row_of))


def test_mlvu_test_of_the_publisher_is_read_too(tmp_path: Path) -> None:
    def row_of(row: dict[str, Any]) -> dict[str, Any]:
        stem, *options = row["question"].split("\n")
        texts = [option[4:] for option in options]
        answer = texts["ABCDEF".index(row["answer"])]
        about = {"video": row["video_name"], "question_type": row["task_type"], "question": stem}
        return about | {"candidates": texts, "answer": answer}

    root = as_repack(tmp_path, "mlvu_test", "rows.jsonl", row_of)
    rows = row_files.read(root / "mlvu_test/rows.jsonl")
    (root / "mlvu_test/test_mcq_gt.json").write_text(json.dumps(rows))
    assert same("mlvu_test", root)
