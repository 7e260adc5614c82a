"""The adapters of the grounding sets and Video-MMMU: publishers' layouts give the same rows, copies are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from example_rows import CATALOGUE, copied
from hypothesis import given
from hypothesis import strategies as st

from viubench.datasets import loader, row_files
from viubench.datasets.adapters import RowFile
from viubench.datasets.adapters.grounding import activitynet, charades, tacos
from viubench.datasets.adapters.video_mmmu import lettered, video_mmmu
from viubench.errors import ViubenchError
from viubench.tasks.registry import BUILT_IN, Catalogue

EXAMPLES = BUILT_IN / "examples"


def file(content: Any, path: str = "rows.json") -> RowFile:
    return RowFile(Path(path).stem, path, Path("data"), content)


def read(path: str) -> Any:
    text = (EXAMPLES / path).read_text()
    return [json.loads(line) for line in text.splitlines()] if path.endswith(".jsonl") else json.loads(text)


def without_file(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("_file", "_path", "_index")} for row in rows]


def test_charades_text_and_table_are_the_same_rows() -> None:
    table = read("charades_sta/data/test-00000-of-00001.jsonl")
    lines = [
        f"{Path(row['video']).stem} {row['timestamp'][0]} {row['timestamp'][1]}##{row['caption']}" for row in table
    ]
    text = without_file(charades([file("\n".join(lines) + "\n", "charades_sta_test.txt")]))
    assert text == without_file(charades([file(table)]))
    assert [row["place"] for row in text][:4] == [0, 1, 2, 0]


def test_charades_times_are_16_bit_on_the_hub_and_never_clipped() -> None:
    row = next(charades([file("INV12 4.1 99.9##person puts a towel on a shelf.")]))
    assert row["relevant_windows"] == [[4.1, 99.9]]
    (stored, _), *_ = next(charades([file(read("charades_sta/data/test-00000-of-00001.jsonl"))]))["relevant_windows"]
    assert stored != 4.1
    assert stored == pytest.approx(4.1, abs=0.0125)


words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)


@given(
    st.lists(st.tuples(st.from_regex(r"[A-Z0-9]{5}", fullmatch=True), st.floats(0, 99), st.floats(0, 99), words)),
)
def test_charades_lines_give_back_what_was_written(rows: list[tuple[str, float, float, str]]) -> None:
    lines = [f"{vid} {start:.2f} {end:.2f}##{sentence}" for vid, start, end, sentence in rows]
    found = list(charades([file("\n".join(lines))]))
    assert [row["query"] for row in found] == [sentence for *_, sentence in rows]
    assert [row["vid"] for row in found] == [vid for vid, *_ in rows]
    assert [row["relevant_windows"][0][0] for row in found] == [round(start, 2) for _, start, _, _ in rows]


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(ViubenchError, match="VIDEO start end") as caught:
        list(charades([file("INV12 4.1 11.9##fine.\nINV12 4.1##broken.", "charades_sta_test.txt")]))
    assert caught.value.where == "data/charades_sta_test.txt:2"


def test_tacos_frames_and_seconds_are_the_same_rows() -> None:
    videos = read("tacos/test.json")
    rows = [
        {
            "qid": index,
            "vid": name.removesuffix(".avi"),
            "duration": video["num_frames"] / video["fps"],
            "query": sentence,
            "relevant_windows": [[round(start / video["fps"], 3), round(end / video["fps"], 3)]],
        }
        for name, video in videos.items()
        for index, ((start, end), sentence) in enumerate(zip(video["timestamps"], video["sentences"], strict=True))
    ]
    assert without_file(tacos([file(rows)])) == without_file(tacos([file(videos)]))


def test_activitynet_dictionary_and_list_are_the_same_rows() -> None:
    videos = read("activitynet_captions/val_1.json")
    listed = [
        {"video_id": vid, "video": f"{vid}.mp4", "caption": " ".join(video["sentences"]), **video}
        for vid, video in videos.items()
    ]
    named = [{key: value for key, value in row.items() if key != "video_id"} for row in listed]
    original = without_file(activitynet([file(videos)]))
    assert without_file(activitynet([file(listed)])) == original
    assert without_file(activitynet([file(named)])) == original
    assert [row["query"] for row in original[:2]] == ["Two men lift a boat.", "They row away."]
    assert len(original) == sum(len(video["sentences"]) for video in videos.values())


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("activitynet_captions", "0.8", "21.4"),
        ("charades_sta", "4.1015625", "11.8984375"),
        ("qvhighlights", "20", "34"),
        ("tacos", "310", "655"),
    ],
)
def test_an_interval_that_the_data_reverse_is_put_in_order_and_said(
    name: str, first: str, last: str, tmp_path: Path
) -> None:
    task, data = CATALOGUE.task(name), copied(name, tmp_path)
    before = loader.read(task, tmp_path).samples
    for path in (path for path in data.rglob("*.json*") if f"[{first}, {last}]" in path.read_text()):
        path.write_text(path.read_text().replace(f"[{first}, {last}]", f"[{last}, {first}]", 1))
        changed = path.name
    after = loader.read(task, tmp_path)
    assert [sample.target for sample in after.samples] == [sample.target for sample in before]
    (said,) = (note for note in after.notes if "ends before it starts" in note)
    assert f"{name}: 1 of {len(before)} samples" in said
    assert changed in said


@pytest.mark.parametrize("name", ["tacos", "charades_sta", "activitynet_captions", "qvhighlights"])
def test_rows_that_lie_in_two_folders_are_not_read_twice(name: str, tmp_path: Path) -> None:
    """A copy is left out; what is no copy is refused, or told by its number of rows."""
    task, data = CATALOGUE.task(name), copied(name, tmp_path)
    paths = row_files.paths(task.rows, data) if task.rows else []
    once = [sample.id for sample in loader.read(task, tmp_path).samples]
    inner = data / (task.data or name)
    inner.mkdir()
    for path in paths:
        glob = "charades_sta_test.txt" if name == "charades_sta" else path.name
        (inner / glob).write_text(path.read_text())
    if name != "charades_sta":
        assert [sample.id for sample in loader.read(task, tmp_path).samples] == once
    if name != "qvhighlights":
        (inner / glob).write_text("" if name == "charades_sta" else "{}")
        with pytest.raises(ViubenchError, match=r"several (layouts|places)"):
            loader.read(task, tmp_path)


def test_a_missing_interval_is_an_error() -> None:
    video = {"duration": 9.0, "timestamps": [[2.0, 6.5]], "sentences": ["A bird lands."]}
    with pytest.raises(ViubenchError, match="1 intervals for 2 sentences"):
        list(activitynet([file({"v_a": video | {"sentences": ["A bird lands.", "It leaves."]}})]))


@pytest.mark.parametrize(
    ("adapter", "both"),
    [
        (charades, ["INV12 4.1 11.9##one.", [{"video": "INV12.mp4", "caption": "one.", "timestamp": [4.1, 11.9]}]]),
        (tacos, [{}, []]),
        (activitynet, [{}, []]),
        (video_mmmu, [{}, []]),
    ],
)
def test_two_copies_of_a_set_are_refused(adapter: Callable[..., Iterator[dict[str, Any]]], both: list[Any]) -> None:
    with pytest.raises(ViubenchError, match=r"a\.txt, b\.json"):
        list(adapter([file(both[0], "a.txt"), file(both[1], "b.json")]))


def test_video_mmmu_hub_and_repository_are_the_same_rows(tmp_path: Path) -> None:
    tracks = {
        name: read(f"video_mmmu/{name}/test-00000-of-00001.jsonl")
        for name in ("Perception", "Comprehension", "Adaptation")
    }
    hub = without_file(video_mmmu([file(rows, f"{name}/test-0.parquet") for name, rows in tracks.items()]))
    for name in ("Perception", "Comprehension"):  # the repository types only the adaptation questions
        tracks[name] = [{key: value for key, value in row.items() if key != "question_type"} for row in tracks[name]]
    repository = {name: {str(index): row for index, row in enumerate(rows)} for name, rows in tracks.items()}
    assert without_file(video_mmmu([file(repository, "data/all.json")])) == hub
    (tmp_path / "video_mmmu" / "data").mkdir(parents=True)
    (tmp_path / "video_mmmu" / "data" / "all.json").write_text(json.dumps(repository))
    task = Catalogue().task("video_mmmu")
    both = [loader.read(task, folder).samples for folder in (tmp_path, EXAMPLES)]
    again, first = ({sample.id: sample.target for sample in samples} for samples in both)
    assert again == first


def test_video_mmmu_refuses_an_unknown_track_or_subject() -> None:
    row = {"id": "test_Physics_1", "question": "?", "options": ["a", "b"], "answer": "A"}
    with pytest.raises(ViubenchError, match="no track"):
        list(video_mmmu([file([row], "test-00000-of-00001.parquet")]))
    with pytest.raises(ViubenchError, match="no known subject"):
        list(video_mmmu([file([row | {"id": "test_Alchemy_1"}], "Perception/test-0.parquet")]))


def test_video_mmmu_options_are_lettered_unless_all_of_them_are() -> None:
    assert lettered(["A. one", "B. two"]) == ["A. one", "B. two"]
    assert lettered(["A. one", "two"]) == ["A. A. one", "B. two"]
