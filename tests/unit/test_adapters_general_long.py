"""The layouts of MVBench, Vinoground, LVBench, LongVideoBench and MLVU: each asks the same, however it lies on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from string import ascii_uppercase

import pytest
from example_rows import CATALOGUE, content, copied, samples_of, score, touch, write_lines
from hypothesis import given
from hypothesis import strategies as st

from viubench.datasets import choices
from viubench.datasets.adapters import mvbench
from viubench.datasets.choices import letter_of, lettered
from viubench.errors import ViubenchError
from viubench.schema import Sample

# --- letters --------------------------------------------------------------------------------------------------


@given(st.data(), st.lists(st.text(max_size=12), min_size=2, max_size=26))
def test_a_lettered_text_is_found_again(data: st.DataObject, texts: list[str]) -> None:
    """Even texts that are letters, look lettered, or are yes and no."""
    chosen = data.draw(st.sampled_from(texts))
    read = choices.of(lettered(texts))
    assert read.letters == tuple(ascii_uppercase[: len(texts)])
    letter = read.letter(letter_of(texts, chosen))
    assert read.texts[read.letters.index(letter)] == chosen.strip()


def test_an_answer_that_is_no_option_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of the options"):
        letter_of(["left", "right"], "up")


def test_letters_as_texts_and_yes_and_no_keep_their_places() -> None:
    """ "a" is the second option of "c, a, b", not the letter A; yes and no stay the lettered options they are."""
    by_id = {sample.id: sample for sample in samples_of("mvbench")}
    order = by_id["mvbench-character_order-0"]
    assert (order.options, order.target) == (("c", "a", "b"), "B")
    assert by_id["mvbench-object_existence-0"].target == "B"
    assert by_id["mvbench-object_existence-0"].params["letters"] == ["A", "B"]
    assert {sample.id: sample.target for sample in samples_of("longvideobench")}["longvideobench-QQ_inv02_0"] == "B"


# --- mvbench --------------------------------------------------------------------------------------------------


def test_mvbench_roots_are_the_tasks() -> None:
    video = CATALOGUE.task("mvbench").video
    assert video is not None
    assert tuple(video.roots) == mvbench.ROOTS


def test_mvbench_main_layout_cuts_at_the_bounds_and_reads_frame_folders(tmp_path: Path) -> None:
    data = copied("mvbench", tmp_path)
    touch(data / "video/star/Charades_v1_480/QX1AB.mp4")
    for number in (2, 1, 10):
        touch(data / f"video/tvqa/frames_fps3_hq/inventedshow_s09e01_seg01_clip_04/{number:05}.jpg")
    touch(data / "video/ssv2_video/9100001.webm")
    touch(data / "video/data0613/clevrer/video_validation/video_90010.mp4")
    clips = {sample.id.removeprefix("mvbench-"): sample.clips[0] for sample in samples_of("mvbench", tmp_path)}
    assert clips["action_sequence-0"].path == "video/star/Charades_v1_480/QX1AB.mp4"
    assert (clips["action_sequence-0"].start, clips["action_sequence-0"].end) == (3.1, 11.0)
    frames = clips["episodic_reasoning-0"]
    assert [Path(name).name for name in frames.frame_files] == ["00001.jpg", "00002.jpg", "00010.jpg"]
    assert (frames.frame_fps, frames.start, frames.end) == (3, 5.0, 9.0)
    assert clips["action_antonym-0"].path == "video/ssv2_video/9100001.webm"
    assert clips["object_existence-0"].path == "video/data0613/clevrer/video_validation/video_90010.mp4"
    assert clips["action_localization-0"].start is None, "sta is not there: its paths are those of revision video"


def test_mvbench_cut_layout_is_never_cut_again(tmp_path: Path) -> None:
    data = copied("mvbench", tmp_path)
    touch(data / "star/Charades_segment/QX1AB.mp4")
    touch(data / "tvqa/video_fps3_hq_segment/inventedshow_s09e01_seg01_clip_04.mp4")
    samples = {sample.id.removeprefix("mvbench-"): sample for sample in samples_of("mvbench", tmp_path)}
    assert samples["action_sequence-0"].clips[0].path == "star/Charades_segment/QX1AB.mp4"
    assert samples["episodic_reasoning-0"].clips[0].path.endswith("_segment/inventedshow_s09e01_seg01_clip_04.mp4")
    assert all(clip.start is None and clip.end is None for sample in samples.values() for clip in sample.clips)


def test_mvbench_ids_and_clusters_are_the_same_in_both_layouts(tmp_path: Path) -> None:
    whole, cut = copied("mvbench", tmp_path / "whole"), copied("mvbench", tmp_path / "cut")
    touch(whole / "video/star/Charades_v1_480/QX1AB.mp4")
    touch(cut / "video/star/Charades_segment/QX1AB.mp4")
    names = [[(s.id, s.cluster) for s in samples_of("mvbench", tmp_path / layout)] for layout in ("whole", "cut")]
    assert names[0] == names[1]
    assert ("mvbench-action_sequence-0", "star/QX1AB") in names[0]


def test_mvbench_refuses_a_file_that_is_no_sub_task_and_an_answer_that_is_no_candidate(tmp_path: Path) -> None:
    data = copied("mvbench", tmp_path)
    path = data / "json/action_count.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([rows[0] | {"answer": "17"}]))
    with pytest.raises(ViubenchError, match="'17' is none of the options"):
        samples_of("mvbench", tmp_path)
    path.rename(path.with_name("dancing.json"))
    with pytest.raises(ViubenchError, match=r"dancing\.json is none of the sub-tasks"):
        samples_of("mvbench", tmp_path)


# --- vinoground -----------------------------------------------------------------------------------------------


def test_vinoground_pairs_and_their_categories() -> None:
    samples = samples_of("vinoground")
    assert all(sum(other.cluster == sample.cluster for other in samples) == 4 for sample in samples)
    one = next(sample for sample in samples if sample.id == "vinoground-603_pos_text")
    assert one.groups == {"question": "text", "major": "viewpoint", "minor": ("spatial", "contextual")}
    assert one.clips[0].path == "vinoground_videos/603_pos.mp4"
    assert next(sample for sample in samples if sample.cluster == "601").groups["minor"] == ()


def test_vinoground_counts_a_pair_when_both_its_questions_are_right() -> None:
    samples = samples_of("vinoground")

    def half(sample: Sample) -> str:
        wrong = sample.id.endswith("neg_text") and sample.cluster in ("601", "602", "603")
        return "AB"["BA".index(sample.target)] if wrong else sample.target

    assert score("vinoground", samples, half)[0] == 0.5
    assert score("vinoground", samples, lambda _: "A")[0] == 0, "no pair has the same letter twice"


def test_vinoground_json_inside_the_video_folders_is_read_once(tmp_path: Path) -> None:
    data = copied("vinoground", tmp_path)
    wanted = [(sample.id, content(sample)) for sample in samples_of("vinoground")]
    for kind, folder in (("text", "vinoground_videos"), ("video", "vinoground_videos_concated")):
        (data / folder).mkdir()
        shutil.copy(data / f"vinoground_{kind}score.json", data / folder)
    assert [(sample.id, content(sample)) for sample in samples_of("vinoground", tmp_path)] == wanted
    for kind in ("text", "video"):
        (data / f"vinoground_{kind}score.json").unlink()
    assert [(sample.id, content(sample)) for sample in samples_of("vinoground", tmp_path)] == wanted


def test_vinoground_without_its_table_or_with_a_foreign_pair_says_so(tmp_path: Path) -> None:
    data = copied("vinoground", tmp_path)
    table = (data / "vinoground.csv").read_text()
    (data / "vinoground.csv").write_text(table.replace("601,", "701,"))
    with pytest.raises(ViubenchError, match="'601_pos'"):
        samples_of("vinoground", tmp_path)
    (data / "vinoground.csv").unlink()
    with pytest.raises(ViubenchError, match=r"vinoground\.csv, which names the categories of the pairs, is not there"):
        samples_of("vinoground", tmp_path)


# --- the long videos' two layouts each ------------------------------------------------------------------------


def test_lvbench_repack_asks_the_same(tmp_path: Path) -> None:
    data = copied("lvbench", tmp_path)
    nested = data / "video_info.meta.jsonl"
    flat = []
    for line in map(json.loads, nested.read_text().splitlines()):
        for question in line["qa"]:
            flat.append({"key": line["key"], "video_path": f"all_videos/{line['key']}.mp4"} | question)
    write_lines(data / "data/train-00000-of-00001.jsonl", flat)
    both = samples_of("lvbench", tmp_path)
    assert [sample.clips[0].path for sample in both][:1] == ["zZ9_Invented.mp4"], "the publisher's file is read"
    nested.unlink()
    repack = samples_of("lvbench", tmp_path)
    assert [(s.id, s.cluster, content(s)) for s in repack] == [(s.id, s.cluster, content(s)) for s in both]
    assert repack[0].clips[0].path == "all_videos/zZ9_Invented.mp4"


def test_lvbench_item_counts_in_each_of_its_types_and_options_stand_once() -> None:
    one = next(sample for sample in samples_of("lvbench") if sample.id == "lvbench-9011")
    assert one.groups["question_type"] == ("temporal grounding", "reasoning", "event understanding")
    assert one.question.count("At the ridge") == 1


def test_longvideobench_json_asks_the_same(tmp_path: Path) -> None:
    data = copied("longvideobench", tmp_path)
    table = data / "validation-00000-of-00001.jsonl"
    rows = []
    for row in map(json.loads, table.read_text().splitlines()):
        texts = [row.pop(f"option{i}") for i in range(5)]
        rows.append(row | {"candidates": [text for text in texts if text != "N/A"], "level": "L1-Perception"})
    (data / "lvb_val.json").write_text(json.dumps(rows))
    both = samples_of("longvideobench", tmp_path)
    assert len(both) == len(rows), "the two files hold the same questions"
    table.unlink()
    assert samples_of("longvideobench", tmp_path) == both


def test_longvideobench_padding_is_no_option(tmp_path: Path) -> None:
    assert [len(sample.options) for sample in samples_of("longvideobench")] == [3, 5, 2, 4, 4, 4, 4, 5, 3, 5, 3, 4]
    data = copied("longvideobench", tmp_path)
    table = data / "validation-00000-of-00001.jsonl"
    first, *others = map(json.loads, table.read_text().splitlines())
    write_lines(table, [first | {"correct_choice": 3}, *others])
    with pytest.raises(ViubenchError, match="row 0: choice 3 of 3 options"):
        samples_of("longvideobench", tmp_path)


def test_mlvu_repack_asks_the_same(tmp_path: Path) -> None:
    data = copied("mlvu", tmp_path)
    wanted = samples_of("mlvu")
    rows = []
    for path in sorted((data / "json").iterdir()):
        for row in json.loads(path.read_text()) if path.stem[2:] not in ("sub_scene", "summary") else ():
            lines = [f"({letter}) {text}" for letter, text in zip(ascii_uppercase, row["candidates"], strict=False)]
            rows.append(
                {
                    "video_name": f"{path.stem}/{row['video']}",
                    "question": "\n".join([row["question"], *lines]),
                    "answer": "ABCD"[row["candidates"].index(row["answer"])],
                    "task_type": row["question_type"].replace("findNeedle", "needle"),
                }
            )
    write_lines(data / "data/test-00000-of-00001.jsonl", rows)
    assert len(samples_of("mlvu", tmp_path)) == len(wanted), "the two hold the same questions"
    shutil.rmtree(data / "json")
    repack = samples_of("mlvu", tmp_path)
    assert [(s.cluster, content(s)) for s in repack] == [(s.cluster, content(s)) for s in wanted]
