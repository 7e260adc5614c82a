"""The grounding and reasoning tasks on invented rows: layouts, answers, groups, and the traps of each benchmark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest
from example_rows import copied

import evaluators
from evaluators import Evaluator
from viubench.datasets import loader
from viubench.datasets.adapters.video_mmmu import DISCIPLINES
from viubench.datasets.dataset import Dataset
from viubench.errors import ViubenchError
from viubench.schema import Sample, Task
from viubench.scoring import baselines
from viubench.scoring.grade import grade
from viubench.tasks.registry import BUILT_IN, Catalogue
from viubench.video.frame_cache import FrameCache

EXAMPLES = BUILT_IN / "examples"
GROUNDING = ("qvhighlights", "activitynet_captions", "activitynet_captions_val2", "charades_sta", "tacos")
CHOICE = ("video_mmmu", "video_tt", "cvbench_crossvideo")
TASKS = (*GROUNDING, *CHOICE, "vcrbench")
EXPECTED = {
    "qvhighlights": 1550,
    "activitynet_captions": 17505,
    "activitynet_captions_val2": 17031,
    "charades_sta": 3720,
    "tacos": 4001,
    "video_mmmu": 880,
    "video_tt": None,
    "vcrbench": 365,
    "cvbench_crossvideo": 1000,
}
JUNK = ("", ")", "A man walks past.", "The scene shows a street.", "\x00")


def task_of(name: str) -> Task:
    return Catalogue().task(name)


@lru_cache(maxsize=16)
def built(name: str) -> Dataset:
    return loader.read(task_of(name), EXAMPLES)


def graders(name: str) -> tuple[Evaluator, Sequence[Sample]]:
    spec = task_of(name).evaluator
    return evaluators.get(spec.name, **spec.params), built(name).samples


def by_id(name: str) -> dict[str, Sample]:
    return {sample.id.removeprefix(f"{name}-"): sample for sample in built(name).samples}


def said(name: str, key: str, text: str) -> tuple[str, dict[str, float]]:
    """Status and scores of a response to the example row of that id."""
    evaluator, _ = graders(name)
    result = grade(text, "stop", by_id(name)[key], evaluator)
    return result.status, result.scores


# --- every task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_there_are_at_least_twelve_rows_with_answers_that_differ(name: str) -> None:
    _, samples = graders(name)
    assert len(samples) >= 12
    assert len({sample.id for sample in samples}) == len(samples)
    assert len({json.dumps(sample.target) for sample in samples}) >= 3
    assert task_of(name).rows.expected == EXPECTED[name]  # type: ignore[union-attr]
    assert bool(built(name).notes) == (EXPECTED[name] is not None)


@pytest.mark.parametrize("name", TASKS)
def test_true_answers_score_one_and_junk_is_unparsed(name: str) -> None:
    evaluator, samples = graders(name)
    for sample in samples:
        truth = grade(sample.answer_text, "stop", sample, evaluator)
        assert (truth.status, truth.scores[evaluator.metric]) == ("ok", 1.0), sample.id
        for text in JUNK:
            assert grade(text, "stop", sample, evaluator).status == "unparsed", (sample.id, text)


@pytest.mark.parametrize("name", TASKS)
def test_another_row_s_answer_is_wrong(name: str) -> None:
    evaluator, samples = graders(name)
    for sample in samples:
        for other in samples:
            if other.target != sample.target and set(other.params.get("letters", ())) <= set(
                sample.params.get("letters", ())
            ):
                result = grade(other.answer_text, "stop", sample, evaluator)
                assert result.scores.get(evaluator.metric, 0) < 1, (sample.id, other.id)


@pytest.mark.parametrize("name", TASKS)
def test_every_sample_has_its_groups_and_one_mark_for_each_video(name: str) -> None:
    task = task_of(name)
    for sample in built(name).samples:
        assert set(sample.groups) == set(task.group_by)
        assert all(value == value.strip() != "" for value in sample.groups.values() if isinstance(value, str))
        assert sample.question.count("<video>") == len(sample.clips)


@pytest.mark.parametrize("name", TASKS)
def test_a_wrong_field_name_is_an_error_that_names_the_row(name: str) -> None:
    wrong = task_of(name).model_copy(update={"question": "{{ qvery }}"})
    with pytest.raises(ViubenchError, match="qvery") as caught:
        loader.read(wrong, EXAMPLES)
    assert "row 0" in str(caught.value.where)


# --- sanity cases of multiple choice and ordering --------------------------------------------------------------


@pytest.mark.parametrize("name", CHOICE)
def test_b_not_a_is_b(name: str) -> None:
    evaluator, samples = graders(name)
    lettered_samples = [sample for sample in samples if {"A", "B"} <= set(sample.params["letters"])]
    assert lettered_samples
    for sample in lettered_samples:
        answer = evaluator.parse("B, not A", sample)
        assert answer is not None
        assert answer.value == "B"
        assert evaluator.parse("A man enters the room.", sample) is None


def test_i_think_c_is_c_among_ten_options() -> None:
    ten = by_id("video_mmmu")["perception-test_Finance_41"]
    assert ten.params["letters"] == list("ABCDEFGHIJ")
    evaluator, _ = graders("video_mmmu")
    answer = evaluator.parse("I think C", ten)
    assert answer is not None
    assert answer.value == "C"
    assert evaluator.parse("I think so", ten) is None
    assert said("video_mmmu", "perception-test_Finance_41", "J") == ("ok", {"accuracy": 1.0})


def test_vcrbench_orders_are_whole_or_wrong_with_the_share_of_steps() -> None:
    assert by_id("vcrbench")["901"].target == [2, 3, 1]
    assert said("vcrbench", "902", "2, 1, 3") == ("ok", {"exact": 1.0, "step": 1.0})
    status, scores = said("vcrbench", "902", "1, 2, 3")
    assert (status, scores["exact"]) == ("ok", 0.0)
    assert scores["step"] == pytest.approx(1 / 3)
    assert said("vcrbench", "902", "Correct order: 2 -> 1 -> 3")[1]["exact"] == 1.0
    assert said("vcrbench", "902", "2, 1")[0] == "unparsed"
    for sample in built("vcrbench").samples:
        assert sample.params["n"] == len(sample.target) == int(str(sample.groups["steps"]))
        assert sample.target != sorted(sample.target)
        assert f"{len(sample.target)} clips" in sample.question
        assert str(sample.groups["goal"]) in sample.question


# --- grounding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GROUNDING)
def test_intervals_are_seconds_and_the_whole_video_is_the_random_answer(name: str) -> None:
    evaluator, samples = graders(name)
    for sample in samples:
        assert all(0 <= start < end for start, end in sample.target)
        if name == "charades_sta":  # the rows do not say how long a video is
            assert "times" not in sample.params
        else:
            assert sample.params["times"][0] == 0
            assert 0 < evaluator.chance(sample) <= 1


def test_chance_and_blind_do_not_depend_on_which_videos_are_at_hand(tmp_path: Path, clips: Path) -> None:
    """Without the length of every video there is neither, and it is said; a scored answer counts all the same."""
    data = copied("charades_sta", tmp_path)
    cache, known = FrameCache(tmp_path / "cache"), {}
    videos = sorted({sample.clips[0].path for sample in loader.read(task_of("charades_sta"), tmp_path).samples})
    for at_hand in (0, len(videos) - 1, len(videos)):
        for name in videos[:at_hand]:
            (data / name).parent.mkdir(exist_ok=True)
            shutil.copy(next(clips.glob("*.mp4")), data / name)
        dataset = loader.read(task_of("charades_sta"), tmp_path, cache)
        known[at_hand] = (baselines.of(task_of("charades_sta"), dataset.samples), dataset.notes)
    (nothing, few, everything) = known.values()
    for found, notes in (nothing, few):
        assert (found.chance, found.blind, found.trivial) == (None, None, {})
        assert found.scores == everything[0].scores
        assert any("unknown length" in note for note in notes)
    assert everything[0].chance is not None
    assert everything[0].blind is not None


def test_equal_video_and_sentence_are_both_counted() -> None:
    anet = by_id("activitynet_captions")
    first, second = anet["v_Inv3nt3dB02-1"], anet["v_Inv3nt3dB02-2"]
    assert (first.question, first.target) == (second.question, second.target)
    soup = by_id("tacos")
    first, second = soup["s99-d01-0"], soup["s99-d01-2"]
    assert first.question == second.question
    assert first.target != second.target


def test_qvhighlights_has_the_three_rules_of_several_windows_side_by_side() -> None:
    scores = said("qvhighlights", "99001", "90 - 96")[1]  # the second of [20, 34] and [90, 96]
    assert (scores["iou"], scores["iou_first"]) == (1.0, 0.0)
    assert scores["iou_union"] == pytest.approx(6 / 20)


def test_qvhighlights_scores_the_best_window_and_clusters_by_source_video() -> None:
    assert said("qvhighlights", "99001", "90 - 96")[1]["iou"] == 1.0
    assert said("qvhighlights", "99001", "20 - 34")[1]["iou"] == 1.0
    assert said("qvhighlights", "99001", "20 - 96")[1]["iou"] == pytest.approx(14 / 76)
    rows = by_id("qvhighlights")
    assert rows["99001"].cluster == rows["99002"].cluster == "inVentedAa1"
    assert rows["99008"].cluster == "_nVentedF66"
    assert rows["99006"].groups["windows"] == "4 or more"
    assert rows["99001"].clips[0].path.endswith("inVentedAa1_60.0_210.0.mp4")


def test_sentences_are_stripped_and_ends_beyond_the_video_stay() -> None:
    late = by_id("activitynet_captions")["v_Inv3nt3dC03-0"]
    assert late.target == [[0, 45.6]]
    assert late.params["times"] == [0.0, 45.0]
    assert ": A child ties her shoes for the first time.\n" in late.question
    assert ": They row away.\n" in by_id("activitynet_captions")["v_Inv3nt3dA01-1"].question
    assert by_id("tacos")["s98-d02-3"].target[0][1] > by_id("tacos")["s98-d02-3"].params["times"][1]
    assert by_id("activitynet_captions_val2")["v_Inv3nt3dA01-0"].target == [[0.5, 30.2]]


def test_tacos_frames_are_seconds_and_the_camera_s_file_is_found(tmp_path: Path) -> None:
    sample = by_id("tacos")["s98-d02-2"]
    assert sample.target == [[pytest.approx(100.0), pytest.approx(150.0)]]
    assert sample.params["times"] == [0.0, pytest.approx(180.0)]
    shutil.copytree(EXAMPLES / "tacos", tmp_path / "tacos")
    (tmp_path / "tacos" / "videos_3fps_480_noaudio").mkdir()
    (tmp_path / "tacos" / "videos_3fps_480_noaudio" / "s98-d02-cam-002.mp4").touch()
    found = {sample.clips[0].path for sample in loader.read(task_of("tacos"), tmp_path).samples}
    assert "videos_3fps_480_noaudio/s98-d02-cam-002.mp4" in found


def test_groups_say_how_long_video_and_segment_are() -> None:
    rows = by_id("activitynet_captions")
    assert rows["v_Inv3nt3dC03-0"].groups == {"duration": "under 1 min", "segment": "15-60 s", "share": "95 % or more"}
    assert rows["v_Inv3nt3dD04-0"].groups == {"duration": "over 5 min", "segment": "over 60 s", "share": "10-50 %"}
    assert rows["v_Inv3nt3dE05-1"].groups["segment"] == "under 5 s"


# --- Video-MMMU ---------------------------------------------------------------------------------------------------


def test_video_mmmu_keeps_questions_by_their_options() -> None:
    kept = by_id("video_mmmu")
    assert "adaptation-test_Finance_41" not in kept  # open: no options
    assert kept["adaptation-validation_Accounting_98"].target == "C"  # its type is null
    assert kept["comprehension-new_Art_Theory_3"].options[1] == "To deepen the tone"
    fourteen = kept["perception-dev_Computer_Science_2"]
    assert fourteen.params["letters"][-1] == "N"
    assert len(fourteen.options) == 14


def test_video_mmmu_letters_even_yes_and_no() -> None:
    yes_no = by_id("video_mmmu")["comprehension-validation_Sociology_12"]
    assert (yes_no.options, yes_no.params["letters"], yes_no.target) == (("Yes", "No"), ["A", "B"], "B")


def test_video_mmmu_discipline_is_the_folder_and_the_lecture_the_cluster() -> None:
    rows = by_id("video_mmmu")
    assert sum(len(subjects.split()) for subjects in DISCIPLINES.values()) == 30
    assert rows["perception-dev_Computer_Science_2"].clips[0].path == "Engineering/dev_Computer_Science_2.mp4"
    assert rows["perception-dev_Computer_Science_2"].groups["subject"] == "Computer_Science"
    assert len({row.cluster for key, row in rows.items() if key.endswith("Physics_99")}) == 1
    assert "last picture" in rows["adaptation-validation_Physics_99"].question


# --- Video-TT and CVBench -------------------------------------------------------------------------------------------


def test_video_tt_splits_the_options_off_and_drops_the_instruction() -> None:
    rows = by_id("video_tt")
    five = rows["InvSh0rt_78"]
    assert five.options == ("Once", "Twice", "Three times", "Never", "Four times")
    assert five.target == "E"
    assert rows["InvSh0rt_88"].options[2] == "I. e. she is full"
    for sample in rows.values():
        assert "select one letter" not in sample.question
        assert sample.question.count(f"\nA. {sample.options[0]}\n") == 1


def test_cvbench_shows_each_item_its_two_to_four_videos() -> None:
    rows = by_id("cvbench_crossvideo")
    assert [clip.path for clip in rows["1003"].clips][1:3] == ["9003/inv_g_seg1.mp4", "9003/inv_g_seg2.mp4"]
    assert {sample.groups["videos"] for sample in rows.values()} == {"2", "3", "4"}
    assert rows["1001"].cluster == rows["1012"].cluster == "9001"


def test_cvbench_mends_the_options_of_its_faulty_rows() -> None:
    rows = by_id("cvbench_crossvideo")
    assert rows["1006"].options[2:] == ("The tent would stand", "Nothing would change")
    assert (rows["1007"].params["letters"], rows["1007"].target) == (["A", "B", "C", "D"], "C")
    assert (rows["1008"].options, rows["1008"].target, rows["1008"].params["gold"]) == (("Yes.", "No."), "B", "B")
    assert rows["1009"].params["letters"] == ["A", "B"]
    assert (rows["1001"].params["letters"], rows["1001"].target) == (["yes", "no"], "no")
    assert said("cvbench_crossvideo", "1001", "No.") == ("ok", {"accuracy": 1.0})
    assert said("cvbench_crossvideo", "1001", "A")[0] == "unparsed"


def test_cvbench_task_types_fall_into_three_groups() -> None:
    groups = {str(s.groups["task_type"]): s.groups["association"] for s in built("cvbench_crossvideo").samples}
    assert groups["Cross-video Entity Matching"] == "object association"
    assert groups["Cross-video Event Retrieval"] == "event association"
    assert groups["Cross-video Scene Recognition"] == "event association"
    assert groups["Multi-view Scene Understanding"] == "complex reasoning"
    assert groups["Cross-video Counterfactual Reasoning"] == "complex reasoning"
    assert len(set(groups.values())) == 3
