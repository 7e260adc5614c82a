"""Subtitles: files in the publishers' forms, told before the question where the protocol says so, and only there."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.datasets import encodings, loader, verify
from viubench.datasets.subtitles import HEAD, PARTED, PARTS, Line, interleaved, parse_srt, parts, read, require, told
from viubench.errors import ViubenchError
from viubench.runner.config import EvalConfig
from viubench.runner.planning import make_plan
from viubench.tasks.registry import BUILT_IN, Catalogue
from viubench.video.frame_cache import FrameCache

CATALOGUE = Catalogue()
SRT = """1
00:00:01,000 --> 00:00:03,500 X1:40
<i>Put the kettle</i>
on.

2
00:00:03,500 --> 00:00:05,000
Put the kettle on.

3
01:00:10,000 --> 01:00:12,250
{\\an8}It boils.
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("videomme", "longvideobench", "cgbench"):
        shutil.copytree(BUILT_IN / "examples" / name, tmp_path / name)
    return tmp_path


def first(name: str, data: Path) -> dict[str, object]:
    (rows,) = (data / name).rglob("*.json*")
    text = rows.read_text()
    return dict(json.loads(text)[0] if rows.suffix == ".json" else json.loads(text.splitlines()[0]))


def test_srt_is_read_without_styles_and_repetitions(tmp_path: Path) -> None:
    lines = [Line(1.0, 3.5, "Put the kettle on."), Line(3610.0, 3612.25, "It boils.")]
    assert parse_srt(SRT) == lines
    (tmp_path / "a.srt").write_bytes(b"\xef\xbb\xbf" + SRT.replace("\n", "\r\n").encode())
    assert read(tmp_path / "a.srt") == lines
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n00:01.500 --> 00:02.000 align:start\nHello\n")
    assert read(tmp_path / "a.vtt") == [Line(1.5, 2.0, "Hello")]


def test_both_forms_of_longvideobench_are_read(tmp_path: Path) -> None:
    entries = [
        {"start": "00:00:09.000", "end": "00:00:10.5", "line": "later"},
        {"timestamp": [2.0, 4], "text": "sooner"},
        {"timestamp": [12.0, None], "text": "open"},
        {"timestamp": [5.0, 4.0], "text": "ends before it starts"},
        {"text": "no time"},
        "no line",
    ]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    assert read(tmp_path / "a.json", 1.0) == [
        Line(1.0, 3.0, "sooner"), Line(8.0, 9.5, "later"), Line(11.0, float("inf"), "open")
    ]  # fmt: skip
    (tmp_path / "a.json").write_text("")
    assert read(tmp_path / "a.json") == []


def test_words_are_read_as_lines_that_end_at_pauses(tmp_path: Path) -> None:
    spoken = [("Put", 1.0, 1.2), ("it", 1.3, 1.4), ("on.", 1.4, 1.6), ("Now!", 1.65, 1.9), ("Wait", 2.1, 2.4)]
    spoken += [("here", 3.0, 3.2)]
    words = [{"text": text, "start_time": start, "end_time": end} for text, start, end in spoken]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [*words[3:], *words[:3]])) + "\n\n")
    lines = [Line(1.0, 1.9, "Put it on. Now!"), Line(2.1, 2.4, "Wait"), Line(3.0, 3.2, "here")]
    assert read(tmp_path / "a.jsonl") == lines
    (tmp_path / "a.jsonl").write_text("no JSON\n")
    with pytest.raises(ValueError, match="no JSON"):
        read(tmp_path / "a.jsonl")


def test_what_is_said_stands_between_the_video_and_the_question() -> None:
    lines = [Line(1.0, 3.5, "A"), Line(5.0, 6.0, "B"), Line(9.0, float("inf"), "C")]
    assert told("<video>\nWho?", lines, None, None) == f"<video>\n{HEAD}\n1.0-3.5: A\n5.0-6.0: B\n9.0-end: C\n\nWho?"
    assert told("<video>Who?", lines, 3.5, 9.0) == f"<video>\n{HEAD}\n5.0-6.0: B\n\nWho?"  # only the clip shown
    assert told("Who?", lines, 5.5, 5.6) == f"{HEAD}\n5.0-6.0: B\n\nWho?"
    assert told("<video>\nWho?", lines, 7.0, 8.0) == "<video>\nWho?"


def test_interleaved_lines_stand_after_the_part_they_begin_in() -> None:
    lines = [Line(0.5, 3.5, "A"), Line(4.0, 4.5, "B"), Line(5.9, 8.0, "C"), Line(8.0, 9.0, "beyond")]
    spans = [(2.0, 4.0), (4.0, 6.0), (6.0, 8.0)]
    shown = "<video>\n0.5-3.5: A\n<video>\n4.0-4.5: B\n5.9-8.0: C\n<video>"
    assert interleaved("<video>\nWho?", lines, spans) == f"{PARTED}\n{shown}\n\nWho?"


@given(st.floats(0, 1e4), st.floats(0.1, 1e4), st.lists(st.floats(0, 2e4), max_size=9))
def test_parts_meet_and_every_line_of_the_clip_is_told_once(start: float, length: float, at: list[float]) -> None:
    end = start + length
    spans = parts(start, end)
    assert 1 <= len(spans) <= PARTS
    assert (spans[0][0], spans[-1][1]) == (start, pytest.approx(end))
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    lines = [Line(moment, moment + 1, f"said {number}") for number, moment in enumerate(at)]
    text = interleaved("<video>\nWho?", lines, spans)
    for line in lines:
        inside = line.end > start and line.start < spans[-1][1]
        assert text.count(f": {line.text}\n") == inside


def test_a_video_is_shown_in_parts_where_its_subtitles_are_interleaved(data: Path, clips: Path, tmp_path: Path) -> None:
    folder, row = data / "videomme", first("videomme", data)
    (folder / "subtitle").mkdir()
    (folder / f"subtitle/{row['videoID']}.srt").write_text(SRT)
    (folder / "data").mkdir()
    shutil.copy(next(clips.glob("*.mp4")), folder / f"data/{row['videoID']}.mp4")
    task, cache = CATALOGUE.task("videomme_interleaved"), FrameCache(tmp_path / "cache")
    sample, *_, other = loader.read(task, data, cache, told="interleaved").samples
    length = cache.probe(other.clips[0].model_copy(update={"path": sample.clips[0].path}), folder).duration
    assert [(clip.start, clip.end) for clip in sample.clips] == parts(0.0, length)
    assert sample.question.startswith(f"{PARTED}\n<video>\n1.0-3.5: Put the kettle on.\n<video>\n")
    assert sample.question.count("<video>") == len(sample.clips) == 4
    assert [clip.start for clip in other.clips] == [None], "without subtitles it is shown as it is"
    without = loader.read(task, data, cache).samples[0]
    assert (without.id, without.cluster) == (sample.id, sample.cluster)


def test_a_file_that_is_sent_whole_cannot_be_interleaved() -> None:
    protocol = CATALOGUE.protocol("even-32-interleaved").model_copy(update={"media": "file"})
    with pytest.raises(ViubenchError, match="not shown in parts"):
        require(CATALOGUE.task("videomme"), protocol)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8-sig", "Où êtes-vous ?"), ("utf-16", "Où 在"), ("cp1252", "Où êtes-vous ?"), ("latin-1", "Straße, élan"),
     ("gb18030", "把水壶放在炉子上。"), ("utf-32", "Où 在")],
)  # fmt: skip
def test_subtitles_of_usual_encodings_are_read(encoding: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(f"1\r\n00:00:01,000 --> 00:00:02,000\r\n{said}\r\n".encode(encoding))
    assert read(tmp_path / "a.srt") == [Line(1.0, 2.0, said)]
    (tmp_path / "a.json").write_bytes(
        json.dumps([{"timestamp": [1, 2], "text": said}], ensure_ascii=False).encode(encoding)
    )
    assert read(tmp_path / "a.json") == [Line(1.0, 2.0, said)]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("cp1251", "Где вы были вчера?"), ("euc_kr", "주전자를 올려 주세요"), ("big5", "我們把水壺放在爐子上。"),
     ("shift_jis", "やかんを火にかけてください"), ("euc_jp", "やかんを火にかけてください"), ("utf-16-le", "no mark"),
     ("cp1250", "Zażółć gęślą jaźń"), ("cp1253", "Καλημέρα σας")],
)  # fmt: skip
def test_other_encodings_are_said_and_never_read_as_something_else(encoding: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"encoding is not known|zero bytes"):
        encodings.decoded(f"1\n00:00:01,000 --> 00:00:02,000\n{said}\n".encode(encoding))


@given(st.text(), st.integers(0, 200))
def test_utf_8_is_read_and_damage_to_it_is_never_hidden(text: str, place: int) -> None:
    data = ("é在" + text.replace("\0", "")).encode()
    assert encodings.decoded(data) == data.decode()
    with pytest.raises(ValueError, match="is damaged: no UTF-8 text from byte"):
        encodings.decoded(data[: place % len(data)] + b"\xff" + "é在é在é".encode() + data)


def test_files_that_cannot_be_read_are_named_with_the_reason(data: Path) -> None:
    task, folder = CATALOGUE.task("videomme"), data / "videomme"
    samples = loader.read(task, data).samples
    path = folder / f"subtitle/{first('videomme', data)['videoID']}.srt"
    path.parent.mkdir(parents=True)
    for content, why in (
        (SRT.encode() + "日本語です。".encode("shift_jis"), "its encoding is not known"),
        ("é在".encode() + SRT.encode() + b"\xff", "it is damaged: no UTF-8 text from byte"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it holds no line with a time"),
    ):
        path.write_bytes(content)
        built = loader.read(task, data, told=True)
        (note,) = [note for note in built.notes if "cannot be read" in note]
        assert f"of {len(samples)} samples have subtitles that cannot be read" in note
        assert f"{path.relative_to(folder)}: {why}" in note
        assert [sample.question for sample in built.samples] == [sample.question for sample in samples]
        assert make_plan(EvalConfig(tasks="videomme", engine="random", data_root=data, set={"subtitles": True}),
                         data / "run").notes.count(note) == 1  # fmt: skip
    path.unlink()
    path.mkdir()
    assert "Is a directory" in " ".join(loader.read(task, data, told=True).notes)


@given(st.text(alphabet="0123456789:,.-> \n<i>{}\\aB", max_size=80))
def test_any_text_is_read_or_left_out(text: str) -> None:
    for line in parse_srt(text):
        assert line.start < line.end
        assert line.text == " ".join(line.text.split()) != ""


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("videomme", "subtitle/{videoID}.srt"),
        ("cgbench", "cg_subtitles/{video_uid}.srt"),
        ("longvideobench", "subtitles/{subtitle_path}"),
    ],
)
def test_a_task_tells_them_where_the_protocol_says_so(name: str, place: str, data: Path) -> None:
    task = CATALOGUE.task(name)
    before = loader.read(task, data).samples
    path = data / name / place.format(**first(name, data))
    path.parent.mkdir(parents=True)
    lines = [{"timestamp": [1.0, 2.0], "text": "Mind the gap"}]
    path.write_text(json.dumps(lines) if path.suffix == ".json" else "1\n00:00:01,000 --> 00:00:02,000\nMind the gap\n")
    assert [sample.question for sample in loader.read(task, data).samples] == [sample.question for sample in before]
    built = loader.read(task, data, told=True)
    assert built.samples[0].question.startswith(f"<video>\n{HEAD}\n1.0-2.0: Mind the gap\n\n")
    assert built.samples[0].question.endswith(before[0].question.removeprefix("<video>\n"))
    assert built.samples[0].id == before[0].id
    silent = sum(HEAD not in sample.question for sample in built.samples)
    assert built.subtitles == {path.relative_to(data / name).as_posix()}
    assert bool(silent) == any("have no subtitles" in note for note in built.notes)
    report = verify.verify([task], data / name, media=False).tasks[0]
    assert report.subtitles == 1


def test_samples_without_a_file_are_counted_and_asked_all_the_same(data: Path) -> None:
    samples = loader.read(CATALOGUE.task("videomme"), data).samples
    built = loader.read(CATALOGUE.task("videomme"), data, told=True)
    assert [sample.question for sample in built.samples] == [sample.question for sample in samples]
    assert f"videomme: {len(samples)} of {len(samples)} samples have no subtitles" in built.notes[-1]


def test_a_path_that_leaves_the_data_folder_tells_nothing(data: Path) -> None:
    (data / "secret.srt").write_text(SRT)
    task = CATALOGUE.task("videomme")
    assert task.video is not None
    outside = task.model_copy(update={"video": task.video.model_copy(update={"subtitles": "../secret.srt"})})
    built = loader.read(outside, data, told=True)
    assert not built.subtitles
    assert "leads out of" in built.notes[-1]


@pytest.mark.parametrize("name", ["mvbench", "viubench-mini"])
def test_a_task_without_subtitles_is_an_error_before_anything_is_read(name: str, tmp_path: Path) -> None:
    config = EvalConfig(tasks=name, engine="random", data_root=tmp_path, set={"subtitles": True})
    with pytest.raises(ViubenchError, match="has no subtitles to tell"):
        make_plan(config, tmp_path / "run")
