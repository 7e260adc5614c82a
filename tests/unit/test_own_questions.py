"""Questions without a task file: what their columns and answers mean, and where that must be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from own_tables import read
from typer.testing import CliRunner

from viubench.cli import app
from viubench.errors import MediaError, ViubenchError
from viubench.runner import pipeline, planning
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig
from viubench.video import synthetic
from viubench.video.frame_cache import FrameCache

OPTIONS = ["a cup", "a box", "a ball"]
QA = {"video": "a.mp4", "question": "What is it?"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))


def targets(tasks: Any, tmp_path: Path, **options: Any) -> list[Any]:
    return [sample.target for sample in read(tasks, tmp_path, **options).samples]


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


APART = {
    "a list": [("correct_answer", "a cup"), ("incorrect_answers", ["a box", "a ball"])],
    "a list as text": [("answer", "a cup"), ("Distractors", "['a box', 'a ball']")],
    "columns": [
        ("correct_answer", "a cup"),
        ("distractor1", "a box"),
        ("distractor2", None),
        ("distractor3", "a ball"),
    ],
    "words": [("Right Answer", "a cup"), ("Wrong answer 1", "a box"), ("Wrong answer 2", "a ball")],
}


@pytest.mark.parametrize("form", APART)
def test_a_right_answer_apart_from_the_wrong_ones_is_put_among_them(form: str, tmp_path: Path) -> None:
    rows = [QA | {"question": f"What is it, {n}?"} | dict(APART[form]) for n in range(3)]
    rows.append(rows[0] | {APART[form][0][0]: "a sock"})
    samples = read(lines(tmp_path / "q.jsonl", rows), tmp_path).samples
    assert [one.options["ABC".index(one.target)] for one in samples] == ["a cup"] * 3 + ["a sock"]
    assert [sorted(one.options) for one in samples[:3]] == [["a ball", "a box", "a cup"]] * 3


def test_a_question_said_to_be_open_stays_open_beside_wrong_answers(tmp_path: Path) -> None:
    rows = [QA | {"answer": "a cup", "distractors": ["a box", "a ball"]}] * 2
    found = read(lines(tmp_path / "q.jsonl", rows), tmp_path, answer_kind="open").samples
    assert [(one.target, one.options) for one in found] == [("a cup", ())] * 2


def test_where_the_right_answer_stands_tells_nothing(tmp_path: Path) -> None:
    rows = [
        QA | {"answer": f"thing {n}", "distractors": [f"thing {n + k}" for k in (1, 2, 3)], "question": f"What, {n}?"}
        for n in range(200)
    ]
    found = targets(lines(tmp_path / "q.jsonl", rows), tmp_path)
    assert all(30 <= found.count(letter) <= 70 for letter in "ABCD")


FORMS = {
    "letters": [{"answer": "A"}, {"answer": "b"}, {"answer": "C."}],
    "brackets": [{"answer": "(A)"}, {"answer": "(b)"}, {"answer": "[C]"}],
    "letter and text": [{"answer": "A. a cup"}, {"answer": "(B) a box"}, {"answer": "C: a ball"}],
    "texts": [{"gold": "a cup"}, {"gold": "A box."}, {"gold": "a ball"}],
    "mixed": [{"answer": "a cup"}, {"answer": "B"}, {"answer": "C. a ball"}],
    "from 0": [{"label": 0}, {"label": 1}, {"label": 2}],
    "from 1": [{"label": "1"}, {"label": "2"}, {"label": 3.0}],
    "lists": [{"answer": ["A"]}, {"answer": ["a box"]}, {"answer": "['C']"}],
    "named numbers": [{"answer": "option_1"}, {"answer": "Option 2"}, {"answer": "(3)"}],
    "wide letters": [{"答案": "Ａ"}, {"答案": "（Ｂ）"}, {"答案": "C"}],
    "words": [{"answer": "Option A"}, {"answer": "option_b"}, {"answer": "Answer: C"}],
}


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_read_in_the_way_that_the_rows_show(form: str, tmp_path: Path) -> None:
    rows = [QA | {"options": OPTIONS} | row for row in FORMS[form]]
    assert targets(lines(tmp_path / "q.jsonl", rows), tmp_path) == ["A", "B", "C"]


@pytest.mark.parametrize(
    "options",
    [
        {"choices": OPTIONS},
        {"candidates": json.dumps(OPTIONS)},
        {"options": str(OPTIONS)},
        {"options": "['a cup' 'a box'\n 'a ball']"},
        {"options": ["A. a cup", "B. a box", "C. a ball"]},
        {"options": "A. a cup\nB. a box\nC. a ball"},
        {"options": "(A) a cup (B) a box (C) a ball"},
        {"options": "a cup|a box|a ball"},
        {"options": "a cup; a box; a ball"},
        {"options": {"A": "a cup", "B": "a box", "C": "a ball"}},
        {"choices": {"label": ["A", "B", "C"], "text": OPTIONS}},
        {"choices": [{"label": "A", "text": text} for text in OPTIONS]},
        {"choices": {"label": ["B", "A", "C"], "text": ["a box", "a cup", "a ball"]}},
        {"options": ["C. a ball", "A. a cup", "B. a box"]},
        {"options": {"1": "a cup", "2": "a box", "3": "a ball"}},
        {"选项A": "a cup", "选项B": "a box", "选项C": "a ball"},
        {"A": "a cup", "B": "a box", "C": "a ball", "D": None},
        {"option_a": "a cup", "option_b": "a box", "option_c": "a ball"},
        {"a0": "a cup", "a1": "a box", "a2": "a ball", "a3": "", "a4": ""},
        {"Option 1": "a cup", "Option 2": "a box", "Option 3": "a ball"},
        {"optionA": "a cup", "optionB": "a box", "optionC": "a ball"},
        {"answer1": "a cup", "answer2": "a box", "answer3": "a ball"},
        {"question": "What is it?\nA. a cup\nB. a box\nC. a ball"},
    ],
)
def test_options_are_found_however_they_are_written(options: dict[str, Any], tmp_path: Path) -> None:
    path = lines(tmp_path / "q.jsonl", [QA | options | {"correct": "B"}, QA | options | {"correct": "C"}])
    samples = read(path, tmp_path).samples
    assert [sample.target for sample in samples] == ["B", "C"]
    assert samples[0].options == tuple(OPTIONS)
    assert samples[0].question.splitlines()[1] == "What is it?"


@pytest.mark.parametrize(
    ("names", "row"),
    [
        ("video_path question options answer", 0),
        ("Video Path,Query,Choices,Correct Answer", 0),
        ("videoPath prompt candidates groundTruth", 0),
        ("vid q options gt", 0),
        ("file_name question_text answer_choices answer_key", 0),
        ("clip instruction choices target", 0),
    ],
)
def test_columns_are_known_by_the_names_people_use(names: str, row: int, tmp_path: Path) -> None:
    video, question, options, answer = names.split("," if "," in names else None)
    path = lines(tmp_path / "q.jsonl", [{answer: "B", options: OPTIONS, question: "What is it?", video: "a.mp4"}])
    (sample,) = read(path, tmp_path).samples
    assert (sample.target, sample.clips[0].path, sample.options) == ("B", "a.mp4", tuple(OPTIONS))


def test_what_the_rows_leave_open_is_asked(tmp_path: Path) -> None:
    path = lines(tmp_path / "q.jsonl", [QA | {"options": OPTIONS, "answer": 1}, QA | {"options": OPTIONS, "answer": 2}])
    with pytest.raises(ViubenchError, match="can be read in two ways") as asked:
        read(path, tmp_path)
    assert "--answer-kind index0 or --answer-kind index1" in str(asked.value.hint)
    assert targets(path, tmp_path, answer_kind="index0") == ["B", "C"]
    assert targets(path, tmp_path, answer_kind="index1") == ["A", "B"]
    numbers = [QA | {"options": ["2", "3", "4"], "answer": answer} for answer in ("2", "2")]
    with pytest.raises(ViubenchError, match="can be read in two ways"):
        read(lines(path, numbers), tmp_path)
    assert targets(path, tmp_path, answer_kind="text") == ["A", "A"]
    both = [QA | {"options": OPTIONS, "answer": answer} for answer in (0, 1, 3, 1)]
    with pytest.raises(ViubenchError, match=r"in two ways|from 0 in some rows"):
        read(lines(path, both), tmp_path)
    assert targets(lines(path, [QA | {"options": ["2", "3", "4"], "answer": a} for a in "234"]), tmp_path) == [*"ABC"]


@pytest.mark.parametrize(
    ("row", "target"),
    [
        ({"answer": [3.2, 8.1]}, [[3.2, 8.1]]),
        ({"answer": "3.2-8.1"}, [[3.2, 8.1]]),
        ({"answer": "[3.2, 8.1]"}, [[3.2, 8.1]]),
        ({"relevant_windows": [[3.2, 8.1], [9, 10]]}, [[3.2, 8.1], [9.0, 10.0]]),
        ({"timestamp": "0:03 - 1:08.5"}, [[3.0, 68.5]]),
        ({"start": 3.2, "end": "8.1"}, [[3.2, 8.1]]),
        ({"gt_start": 3.2, "gt_end": 8.1}, [[3.2, 8.1]]),
        ({"start_time": "00:00:03", "end_time": "00:00:08"}, [[3.0, 8.0]]),
        ({"answer": "from 0:03 to 0:08"}, [[3.0, 8.0]]),
        ({"answer": "00:00:03.5 --> 00:00:08"}, [[3.5, 8.0]]),
        ({"span": "3,8"}, [[3.0, 8.0]]),
        ({"a": "a dog runs"}, "a dog runs"),
        ({"answer": 12}, 12.0),
        ({"answer": "7.5"}, 7.5),
        ({"answer": "Yes"}, "yes"),
        ({"answer": True}, "A"),
        ({"answer": "false"}, "B"),
        ({"answer": "A dog runs."}, "A dog runs."),
        ({"messages": [{"content": "Who?"}, {"content": "A dog."}]}, "A dog."),
    ],
)
def test_answers_without_options_have_their_own_kind(row: dict[str, Any], target: Any, tmp_path: Path) -> None:
    assert targets(lines(tmp_path / "q.jsonl", [QA | row]), tmp_path) == [target]


@pytest.mark.parametrize("written", [["0,5", "3,25"], ["1,200", "3,500.5"], ["5,12"]])
def test_a_number_with_a_comma_is_no_interval_in_silence(written: list[str], tmp_path: Path) -> None:
    path = lines(tmp_path / "q.jsonl", [QA | {"answer": one} for one in written])
    with pytest.raises(ViubenchError, match="is a number with a comma or an interval"):
        read(path, tmp_path)
    pairs = [[float(part) for part in one.split(",")] for one in written]
    assert targets(path, tmp_path, answer_kind="interval") == [[pair] for pair in pairs]


def test_rows_choose_their_part_and_their_frames(tmp_path: Path) -> None:
    rows = [
        QA | {"options": OPTIONS, "answer": "A", "start": "0:01", "end": 2.5, "frame_idx": "[9, 3, 3]"},
        QA | {"options": OPTIONS, "answer": "B", "start": None, "end": None, "frame_idx": [1, 2]},
    ]
    first, second = read(lines(tmp_path / "q.jsonl", rows), tmp_path).samples
    assert (first.clips[0].start, first.clips[0].end, first.clips[0].frames) == (1.0, 2.5, (3, 9))
    assert (second.clips[0].start, second.clips[0].frames) == (None, (1, 2))
    with pytest.raises(ViubenchError, match="choose their frames"):
        read(tmp_path / "q.jsonl", tmp_path, frames=8)
    times = [QA | {"options": OPTIONS, "answer": "A", "times": "0.5, 2.25"}]
    assert read(lines(tmp_path / "t.jsonl", times), tmp_path).samples[0].clips[0].times == (0.5, 2.25)
    count = [QA | {"options": OPTIONS, "answer": "A", "frames": 300}]  # a number of frames is no choice
    assert read(lines(tmp_path / "n.jsonl", count), tmp_path).samples[0].clips[0].sampling is None


def test_the_chosen_frames_are_shown(tmp_path: Path) -> None:
    synthetic.draw(tmp_path, 1, seed=1, seconds=2.0, size=(64, 64))
    (video,) = tmp_path.glob("*.mp4")

    def seen(chosen: dict[str, Any]) -> tuple[int, ...]:
        row = QA | {"video": video.name, "A": "x", "B": "y", "answer": "A"} | chosen
        config = EvalConfig(engine="oracle", tasks=[row], data_root=tmp_path, out=tmp_path / "run")
        plan = planning.make_plan(config, tmp_path / "run")
        (request,) = pipeline.frame_requests(plan.samples[0], plan)
        root, clip, how, resize = request
        return FrameCache(tmp_path / "frames").get(clip, root, how, resize).indices

    assert seen({"frames": [30, 4]}) == (4, 30)
    assert seen({"times": [1.2, 0.401]}) == (10, 30)  # 25 frames a second
    assert min(seen({"start": 1.0})) == 25
    assert max(seen({"end": "0:01"})) < 25
    with pytest.raises(MediaError, match="frame 999 asked of a video with 50 frames"):
        seen({"frames": [999, 1]})
    with pytest.raises(MediaError, match="the frame at 99 s asked of 2"):
        seen({"times": [99.0, 1.0]})


def test_a_bad_row_costs_itself_alone(tmp_path: Path) -> None:
    rows = [QA | {"options": OPTIONS, "answer": answer} for answer in ("A", "B", "E", "C")]
    path = lines(tmp_path / "q.jsonl", rows)
    path.write_text(path.read_text() + "{broken\n")
    dataset = read(path, tmp_path)
    assert [sample.target for sample in dataset.samples] == ["A", "B", "C"]
    assert "2 of 5 rows cannot be read; q.jsonl, line 5: it is no JSON" in dataset.notes[0]
    assert "q.jsonl, row 3" in dataset.notes[0] or "q.jsonl, line 3" in dataset.notes[0]
    hole = [QA | {"A": "a cup", "B": "", "C": "a ball", "answer": "C"}, QA | {"A": "x", "B": "y", "answer": "B"}]
    assert targets(lines(path, hole), tmp_path) == ["B"]  # a letter after a hole may be another one
    with pytest.raises(ViubenchError, match="name none of their options"):
        read(lines(path, [QA | {"options": OPTIONS, "answer": "a hat"}]), tmp_path)


@pytest.mark.parametrize(
    "suffix", ["csv", "semi.csv", "utf16.csv", "sep.csv", "tsv", "xlsx", "parquet", "json", "cols.json"]
)
def test_every_kind_of_file_gives_the_same_samples(suffix: str, tmp_path: Path) -> None:
    rows = [QA | {"id": n, "options": json.dumps(OPTIONS), "answer": "ABC"[n], "note": "é, ü; x"} for n in range(3)]
    frame, path = pd.DataFrame(rows), tmp_path / f"q.{suffix}"
    if suffix == "xlsx":
        empty = pd.DataFrame([dict.fromkeys(frame.columns)])
        pd.concat([frame[:1], empty, frame[1:], empty]).to_excel(path, index=False, startrow=1)
    elif suffix == "parquet":
        frame.to_parquet(path)
    elif suffix.endswith("json"):
        path.write_text(json.dumps({"data": rows}) if suffix == "json" else frame.to_json())
    else:
        separator = {"tsv": "\t", "csv": ","}.get(suffix, ";")
        text = frame.to_csv(index=False, sep=separator)
        text = "sep=;\n" + text if suffix == "sep.csv" else text
        path.write_bytes(text.encode("utf-16" if "16" in suffix else "utf-8-sig"))
    samples = read(path, tmp_path).samples
    assert [sample.target for sample in samples] == ["A", "B", "C"]
    assert [sample.id.rpartition("-")[2] for sample in samples] == ["0", "1", "2"]
    assert samples[0].options == tuple(OPTIONS)


def test_videos_are_found_where_the_rows_or_the_options_say(tmp_path: Path) -> None:
    for folder in ("mine/videos", "far/away", "given"):
        synthetic.draw(tmp_path / folder, 1, seed=1, seconds=1.0, size=(64, 64))
        next((tmp_path / folder).iterdir()).rename(tmp_path / folder / f"{folder[0]}.mp4")
    names = ["m", "m.mp4", str(tmp_path / "far/away/f.mp4"), "../far/away/f.mp4", "g", "/elsewhere/given/g.mp4", "gone"]
    rows = [QA | {"video": name, "options": OPTIONS, "answer": "A"} for name in names]
    path = lines(tmp_path / "mine/q.jsonl", rows)
    dataset = read(path, tmp_path, videos=tmp_path / "given")
    there = [(dataset.videos / sample.clips[0].path).is_file() for sample in dataset.samples]
    assert there == [True] * 6 + [False]
    secret = lines(tmp_path / "mine/s.jsonl", [QA | {"video": "../secret.txt", "options": OPTIONS, "answer": "A"}])
    (tmp_path / "secret.txt").write_text("x")
    (sample,) = read(secret, tmp_path).samples
    assert sample.clips[0].path == "../secret.txt"  # no video: refused when it is opened


@pytest.mark.parametrize(("named", "there"), [("m.mp4", "m.MP4"), ("m", "m.MOV"), ("m.AVI", "m.avi")])
def test_a_suffix_may_be_in_the_other_case(named: str, there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_bytes(b"x")
    dataset = read(lines(tmp_path / "q.jsonl", [QA | {"video": named, "options": OPTIONS, "answer": "B"}]), tmp_path)
    assert [sample.clips[0].path for sample in dataset.samples] == [there]


@pytest.mark.parametrize(
    "row",
    [
        {"q_uid": "m", "drive": "x"},
        {"video_id": "001", "videoID": "m"},
        {"video": "C:\\Users\\me\\clips\\m.mp4"},
        {"video": "D:/m.mp4"},
        {"video": "file:///elsewhere/my%20clips/m.mp4"},
        {"视频": "m.mp4"},
    ],
)
def test_a_video_is_known_by_being_there(row: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "m.mp4").write_bytes(b"x")
    rows = [{"question": "What?", "options": OPTIONS, "answer": "B"} | row]
    dataset = read(lines(tmp_path / "q.jsonl", rows), tmp_path)
    assert [(dataset.videos / sample.clips[0].path).name for sample in dataset.samples] == ["m.mp4"]
    assert (dataset.videos / dataset.samples[0].clips[0].path).is_file()


def test_rows_within_rows_are_found(tmp_path: Path) -> None:
    asked = [{"question": "What?", "options": OPTIONS, "answer": answer} for answer in "BC"]
    written = [
        {"videos": [{"video": "a.mp4", "qas": asked[:1]}, {"video": "b.mp4", "QAs": asked[1:]}]},
        {"features": [], "rows": [{"row_idx": n, "row": {"video": "a.mp4"} | one} for n, one in enumerate(asked)]},
    ]
    for data in written:
        (tmp_path / "q.json").write_text(json.dumps(data))
        assert targets(tmp_path / "q.json", tmp_path) == ["B", "C"]


def test_videos_in_the_rows_are_written_once(tmp_path: Path) -> None:
    synthetic.draw(tmp_path / "v", 1, seed=1, seconds=1.0, size=(64, 64))
    video = next((tmp_path / "v").iterdir()).read_bytes()
    for cell in (video, {"bytes": video, "path": "x.webm"}):
        row = {"video": cell, "question": "What?", "options": OPTIONS, "answer": "A"}
        pd.DataFrame([row, row]).to_parquet(tmp_path / "q.parquet")
        dataset = read(tmp_path / "q.parquet", tmp_path)
        assert (dataset.videos / dataset.samples[0].clips[0].path).read_bytes() == video
        assert dataset.samples[0].clips == dataset.samples[1].clips


def test_a_task_file_made_of_the_table_asks_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        QA | {"Video ID": n, "choices": OPTIONS, "gold": n, "start": 0.5 * n, "level": "ab"[n % 2]} for n in range(3)
    ]
    path = lines(tmp_path / "q.jsonl", rows)
    for words in (
        ["tasks", "new", str(path), "-o", str(tmp_path / "q.yaml")],
        ["tasks", "validate", str(tmp_path / "q.yaml")],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    once, again = read(path, tmp_path), read(tmp_path / "q.yaml", tmp_path)
    assert [sample.plain() for sample in once.samples] == [sample.plain() for sample in again.samples]
    assert once.tasks["q"].hash() == again.tasks["q"].hash()
    assert once.samples[0].groups == {"level": "a"}
    done = CliRunner().invoke(app, ["tasks", "new", str(path), "-o", str(tmp_path / "q.yaml")])
    assert "is there already" in str(done.exception)
    assert CliRunner().invoke(app, ["tasks", "validate", str(path)]).exit_code == 0


def test_what_would_be_misread_is_refused(tmp_path: Path) -> None:
    refused = {
        "options of column 'options' cannot be read": [QA | {"options": "a dog, a cat", "answer": "a cat"}],
        "cannot be read: .*2. x": [QA | {"options": ["2. x", "1. y"], "answer": 1}],
        "no column has options": [QA | {"question": "What? A. dog B. cat", "answer": "B"}],
        "column 'answer' is empty": [QA | {"options": OPTIONS, "answer": " "}],
        "no column is known to be the answer": [QA | {"options": OPTIONS}],
    }
    for message, rows in refused.items():
        with pytest.raises(ViubenchError, match=message):
            read(lines(tmp_path / "q.jsonl", rows), tmp_path)
    (tmp_path / "twice.csv").write_text("video,question,A,B,answer,answer\na,What?,x,y,A,B\n")
    with pytest.raises(ViubenchError, match="two columns are named 'answer'"):
        read(tmp_path / "twice.csv", tmp_path)
    assert targets(lines(tmp_path / "i.jsonl", [QA | {"answer": [8, 3]}, QA | {"answer": [1, 3]}]), tmp_path) == [
        [[1.0, 3.0]]
    ]


def test_one_bad_file_of_a_folder_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    lines(
        tmp_path / "mine/q.jsonl",
        [{"video": "a.mp4", "qa": [{"question": "What?", "options": OPTIONS, "answer": "A"}] * 2}],
    )
    (tmp_path / "mine/notes.json").write_text('{"by": "me"}')
    found = Collector(EvalConfig(engine="oracle", tasks=tmp_path / "mine"), tmp_path / "run").collect()
    assert [len(dataset.samples) for dataset in found.datasets] == [2]
    assert "notes.json is left out: no column is known to be the video" in found.notes[0]


def test_tables_from_python_and_mixed_names(tmp_path: Path) -> None:
    rows = [QA | {"options": OPTIONS, "answer": "B"}]
    assert targets(rows, tmp_path) == targets(pd.DataFrame(rows), tmp_path) == ["B"]
    path = lines(tmp_path / "mine.jsonl", rows)
    (tmp_path / "more").mkdir()
    lines(tmp_path / "more/mine.jsonl", rows)
    found = Collector(
        EvalConfig(engine="oracle", tasks=f"{path},{tmp_path / 'more'}", out=tmp_path / "run"), tmp_path / "run"
    ).collect()
    assert [name for dataset in found.datasets for name in dataset.tasks] == ["mine", "more_mine"]
    with pytest.raises(ViubenchError, match=r"no such file: none\.csv"):
        read("none.csv", tmp_path)
    with pytest.raises(ViubenchError, match=r"no such file or folder: runs/itmes") as missing:
        read("runs/itmes", tmp_path)
    assert missing.value.hint == f"{Path.cwd()} has no runs"
    with pytest.raises(ViubenchError, match="no such file or folder") as missing:
        read(str(tmp_path / "mroe/mine"), tmp_path)
    assert missing.value.hint == "did you mean more?"
    with pytest.raises(ViubenchError, match="matches 'nothing_"):
        read("nothing_*", tmp_path)


def test_a_file_that_is_named_twice_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lines(tmp_path / "q.jsonl", [{**QA, "options": OPTIONS, "answer": "A"}])
    lines(tmp_path / "odd.jsonl", [{"nothing": "of use"}])
    monkeypatch.chdir(tmp_path)
    for tasks in ("q.jsonl,q.jsonl", f"./q.jsonl, {file}", "*.jsonl,q.jsonl", "q.jsonl,*.jsonl"):
        config = EvalConfig(engine="oracle", tasks=tasks, out=tmp_path / "run")
        assert [[*one.tasks] for one in Collector(config, tmp_path / "run").collect().datasets] == [["q"]]
    with pytest.raises(ViubenchError):  # what was named by itself is never left out
        Collector(EvalConfig(engine="oracle", tasks="*.jsonl,odd.jsonl", out=tmp_path / "run"), tmp_path).collect()
