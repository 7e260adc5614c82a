"""Questions of one's own that were written with a slip: none is scored wrongly in silence."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from own_tables import read

from viubench.errors import ViubenchError

QA = {"video": "a.mp4", "question": "What is it?", "options": ["a cup", "a box", "a ball"]}
GOOD = [QA | {"answer": "A"}, QA | {"answer": "B"}]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (QA | {"question": " ", "answer": "C"}, "its question is empty"),
        (QA | {"question": "<video>\n", "answer": "C"}, "its question is empty"),
        (QA | {"options": ["a cup", "A cup.", "a ball"], "answer": "a cup"}, "stands there twice, as A and B"),
        (QA | {"options": ["a cup", "a box", "a cup"], "answer": "A"}, "stands there twice, as A and C"),
        (QA | {"answer": "AC"}, "names several options"),
        (QA | {"answer": "A and B"}, "names several options"),
        (QA | {"question": "Is <video> longer than <video>?", "answer": "A"}, "speaks of 2 videos, and shows 1"),
    ],
)
def test_a_question_without_one_right_option_is_left_out_and_named(
    row: dict[str, Any], said: str, tmp_path: Path
) -> None:
    dataset = read([*GOOD, row], tmp_path)
    assert [sample.target for sample in dataset.samples] == ["A", "B"]
    assert "1 of 3 rows cannot be read; questions, row 3: " in dataset.notes[0]
    assert said in dataset.notes[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["a cup", "nan", "nan"], "have two options that say the same"),
        (["2", "2024-03-04 00:00:00", "5"], "have options that are dates"),
    ],
)
def test_what_may_be_wrong_with_options_is_told(options: list[str], said: str, tmp_path: Path) -> None:
    dataset = read([*GOOD, QA | {"options": options, "answer": "A"}], tmp_path)
    assert len(dataset.samples) == 3
    assert "1 of 3 samples" in dataset.notes[0]
    assert said in dataset.notes[0]


def test_answers_that_all_name_several_options_are_said_to(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="names several options"):
        read([QA | {"answer": "A,C"}, QA | {"answer": ["A", "B"]}, QA | {"answer": "B;C"}], tmp_path)


def test_a_whole_number_with_decimals_is_that_option_and_no_place(tmp_path: Path) -> None:
    rows = [
        QA | {"options": ["2", "3", "4"], "answer": "3.0"},
        QA | {"options": ["5", "6", "7"], "answer": "6.0"},
    ]
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [sample.target for sample in read(path, tmp_path).samples] == ["B", "B"]


def sheet(book: openpyxl.Workbook, title: str, rows: list[list[Any]]) -> None:
    page = book.create_sheet(title)
    for row in rows:
        page.append(row)


TABLE = [
    ["video", "question", "A", "B", "answer"],
    ["a.mp4", "What is_x000D_\nit?", "a cup", "a box", "B"],
    ["a.mp4", "And what else?", "a cup", "a box", "=C3"],
    ["a.mp4", "And now?", "a cup", "a box", "A"],
]


@pytest.mark.parametrize("above", [[], [["Our survey"], [None], ["of May"]]])
def test_a_table_is_found_in_a_workbook_of_more(above: list[list[Any]], tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Read me first."])  # type: ignore[union-attr]
    sheet(book, "May", [*above, *TABLE])
    sheet(book, "June", TABLE)
    sheet(book, "lists", [["easy"], ["hard"]])
    book.save(tmp_path / "q.xlsx")
    dataset = read(tmp_path / "q.xlsx", tmp_path)
    assert [sample.target for sample in dataset.samples] == ["B", "A"]
    assert dataset.samples[0].question.startswith("<video>\nWhat is\nit?\nA. a cup")
    assert "sheet 'June': only the sheet 'May' is read" in dataset.notes[0]
    assert f"q.xlsx, row {len(above) + 3}: " in dataset.notes[0]  # a formula that was never computed is no answer


def test_a_title_above_a_table_of_text_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("Our survey,,,,\n,,,,\nvideo,question,A,B,answer\na.mp4,What?,cup,box,B\n")
    assert [sample.target for sample in read(path, tmp_path).samples] == ["B"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_text_of_a_windows_shell_is_read(encoding: str, suffix: str, tmp_path: Path) -> None:
    rows = [QA | {"question": "Größe?", "answer": answer} for answer in ("A", "C")]
    text = {
        "csv": "video\tquestion\tA\tB\tanswer\r\na.mp4\tGröße?\tcup\tbox\tA\r\na.mp4\tGröße?\tcup\tbox\tB\r\n",
        "jsonl": "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "json": json.dumps(rows, ensure_ascii=False),
    }[suffix]
    path = tmp_path / f"q.{suffix}"
    path.write_bytes(text.encode(encoding))
    samples = read(path, tmp_path).samples
    assert len(samples) == 2
    assert all("\nGröße?\n" in sample.question for sample in samples)


def test_an_old_or_locked_workbook_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "q.xlsx"
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    with pytest.raises(ViubenchError, match="Excel file of the old kind"):
        read(path, tmp_path)


@pytest.mark.parametrize(
    ("named", "there"),
    [
        (unicodedata.normalize("NFC", "nähe"), unicodedata.normalize("NFD", "nähe.mov")),
        ("Küche/POUR.MP4", unicodedata.normalize("NFD", "küche/pour.mp4")),
        (r"Kitchen\Pour", "kitchen/pour.mp4"),
    ],
)
def test_a_video_is_found_however_its_name_is_spelled(named: str, there: str, tmp_path: Path) -> None:
    (tmp_path / "clips" / there).parent.mkdir(parents=True)
    (tmp_path / "clips" / there).touch()
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(QA | {"video": named, "answer": "A"}))
    assert [clip.path for clip in read(path, tmp_path).samples[0].clips] == [f"clips/{there}"]


def test_of_two_videos_that_differ_in_case_none_is_guessed(tmp_path: Path) -> None:
    for name in ("pour.mp4", "Pour.mp4"):
        (tmp_path / name).touch()
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(QA | {"video": name, "answer": "A"}) + "\n" for name in ("POUR.mp4", "Pour")))
    assert [sample.clips[0].path for sample in read(path, tmp_path).samples] == ["POUR.mp4", "Pour.mp4"]


def test_dialogues_name_their_videos_and_have_one_question(tmp_path: Path) -> None:
    asked = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "b.mp4"}}, {"text": "Is it on?"}]}
    rows = [{"messages": [asked, {"role": "assistant", "content": "yes"}]}]
    dataset = read([*rows, *rows, {"messages": [asked, {"content": "yes"}] * 2}], tmp_path)
    assert [sample.clips[0].path for sample in dataset.samples] == ["b.mp4", "b.mp4"]
    assert "row 3: its dialogue has 4 turns" in dataset.notes[0]


@pytest.mark.parametrize(
    "names",
    [
        "Video;Frage;Antwort A;Antwort B;Richtige Antwort",
        "vidéo;question;réponse A;réponse B;bonne réponse",
        "vídeo;pregunta;opción A;opción B;respuesta correcta",
        "vídeo;pergunta;opção A;opção B;resposta correta",
        "video;domanda;opzione A;opzione B;risposta corretta",
        "видео;вопрос;вариант A;вариант B;правильный ответ",
    ],
)
def test_columns_are_known_in_other_languages(names: str, tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(f"{names}\na.mp4;What?;cup;box;B\n")
    assert [sample.target for sample in read(path, tmp_path).samples] == ["B"]


def test_tables_of_other_libraries_are_tables(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    own = datasets.Dataset.from_list(GOOD).cast_column(
        "video", datasets.Video()
    )  # which decodes when it is gone through
    for table in (pd.DataFrame(GOOD).set_index("video"), pa.Table.from_pylist(GOOD), own, [own]):
        samples = read(table, tmp_path).samples
        assert [(sample.target, sample.clips[0].path) for sample in samples] == [("A", "a.mp4"), ("B", "a.mp4")]


def test_a_table_with_two_columns_of_a_name_loses_none_in_silence(tmp_path: Path) -> None:
    frame = pd.DataFrame(GOOD)
    frame.insert(0, "answer", "C", allow_duplicates=True)
    with pytest.raises(ViubenchError, match="two columns are named 'answer'"):
        read(frame, tmp_path)


def test_one_row_or_several_parts_are_no_list_of_rows(tmp_path: Path) -> None:
    for given in (GOOD[0], {"test": GOOD}):
        with pytest.raises(ViubenchError, match="a dictionary is no list"):
            read(given, tmp_path)


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("<video>\nWhat is it?", "What is it?"),
        ("<image><image> What is it? <video>", "What is it?"),
        ("What is in <video>?", "What is in the video?"),
        ("Is <video> longer than <video>?", "Is video 1 longer than video 2?"),
        ("<video> Is this the cup of <video>", "Is this the cup of video 2"),
        ("What is it?\n<video>", "What is it?"),
        ("What is it\n<video><video>", "What is it"),
    ],
)
def test_the_mark_of_a_video_within_a_question_is_not_lost(question: str, asked: str, tmp_path: Path) -> None:
    rows = [QA | {"question": question, "video": ["a.mp4", "b.mp4"], "answer": "A"}]
    prompt = read(rows, tmp_path).samples[0].question
    assert prompt.startswith(f"Video 1:\n<video>\nVideo 2:\n<video>\n{asked}\nA. a cup")
    assert prompt.count("<video>") == 2


def test_of_several_columns_of_videos_none_is_chosen_in_silence(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    path = tmp_path / "q.csv"
    path.write_text("left,right,question,answer\na,b,Are they the same?,no\nb,a,Are they the same?,yes\n")
    with pytest.raises(ViubenchError, match="several columns hold videos: left, right"):
        read(path, tmp_path)
    assert len(read(path, tmp_path, columns={"video": "left"}).samples) == 2
    path.write_text("file of it,its name,question,answer\na.mp4,a,Is it on?,no\nb.mp4,b,Is it on?,yes\n")
    assert len(read(path, tmp_path).samples) == 2


@pytest.mark.parametrize("more", ["correct_answer", "gt", "answer text"])
def test_two_columns_with_other_right_answers_are_told(more: str, tmp_path: Path) -> None:
    rows = [GOOD[0] | {more: "a cup"}, GOOD[1] | {more: "a ball"}]
    with pytest.raises(ViubenchError, match="at row 2 the right option is B by 'answer', and C by"):
        read(rows, tmp_path)
    assert [sample.target for sample in read(rows, tmp_path, columns={"answer": more}).samples] == ["A", "C"]
    for fine in ([{more: "(A)"}, {more: "a box"}], [{more: 0}, {more: 1}], [{"output": "a ball"}, {"output": "C"}]):
        rows = [row | extra for row, extra in zip(GOOD, fine, strict=True)]
        assert [sample.target for sample in read(rows, tmp_path).samples] == ["A", "B"]
