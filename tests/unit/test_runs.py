"""The run folder: appended records, torn lines, other runs, two writers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.errors import ViubenchError
from viubench.schema import Failure, Manifest, Protocol, ProtocolEntry, Record, ScoredRecord
from viubench.storage.record_log import read, repair
from viubench.storage.run_dir import RunFolder, check_same, read_manifest, read_records, read_results
from viubench.tasks.registry import Catalogue


def manifest(**changes: Any) -> Manifest:
    data: dict[str, Any] = {
        "argv": ["viubench"], "model": {"name": "m"}, "engine": {"kind": "random"}, "protocols": {}, "tasks": {},
        "packages": {}, "seed": 0, "hardware": {}, "started": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Manifest.model_validate(data | changes)


def record(name: str, **changes: Any) -> Record:
    return Record.model_validate({"task": "t", "id": name, "cluster": "v", "status": "ok", "response": name} | changes)


def fill(path: Path, names: list[str]) -> None:
    with RunFolder.claim(path) as folder:
        folder.begin(manifest())
        for name in names:
            if (name, 0) not in folder.done:
                folder.append(record(name))


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b\n\u2028\x00"])
    assert [r.id for r in read_records(tmp_path)] == ["a", "b\n\u2028\x00"]
    assert len((tmp_path / "records.jsonl").read_bytes().split(b"\n")) == 3


@given(cut=st.integers(min_value=0))
def test_cut_anywhere_and_resumed_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("run")
    names = [f"sample-{i}" for i in range(8)]
    fill(path, names[:5])
    file = path / "records.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: cut % (len(whole) + 1)])
    fill(path, names)
    assert sorted(r.id for r in read_records(path)) == names


FATES = st.sampled_from(["ok", "unparsed", "refused", "engine_error", "missing", "corrupt"])
KEYS = st.tuples(st.sampled_from(["a", "b", 'q"\\', "d\n", "\u00e9"]), st.sampled_from([0, 0, 1, 12]))
LINES = st.lists(st.tuples(KEYS, FATES), max_size=12)


def fated(key: tuple[str, int], fate: str, place: int) -> Record:
    name, number = key
    if fate in ("missing", "corrupt"):
        return record(name, number=number, status="media_error", error=Failure(fault=fate), response=str(place))
    return record(name, number=number, status=fate, response=str(place))


@given(lines=LINES, cut=st.integers(min_value=0))
def test_a_start_keeps_the_last_line_of_every_answer_that_is_done_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[tuple[str, int], str]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("run")
    written = [fated(key, fate, place) for place, (key, fate) in enumerate(lines)]
    ends, whole = [0], b""
    for one in written:
        whole += one.model_dump_json().encode() + b"\n"
        ends.append(len(whole))
    cut %= len(whole) + 1
    (path / "records.jsonl").write_bytes(whole[:cut])
    left = [one for one, end in zip(written, ends[1:], strict=True) if end - 1 <= cut]  # its line end may be missing
    last = {
        one.key: one for one, (_, fate) in zip(left, lines, strict=False) if fate not in ("engine_error", "missing")
    }
    assert repair(path).done == set(last)
    assert {one.key: one for one in read_records(path)} == last
    assert len(list(read_records(path))) == len(last)
    before = (path / "records.jsonl").stat()
    assert repair(path).done == set(last)
    assert (path / "records.jsonl").stat() == before, "a file that is whole is left as it is"


def test_what_results_read_of_a_line_is_what_the_record_says(tmp_path: Path) -> None:
    rich = record("a", scores={"iou": 0.25}, rules={"x/y": None, "x/z": 1.0}, groups={"k": ("u", "v"), "l": "w"})
    with RunFolder.claim(tmp_path) as folder:
        folder.begin(manifest())
        folder.append(rich)
    (counted,) = read(tmp_path, ScoredRecord)
    assert counted.model_dump() == rich.model_dump(include=set(ScoredRecord.model_fields))


def test_zeros_of_a_power_cut_inside_a_line_are_found_at_the_start(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    file = tmp_path / "records.jsonl"
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first[:70] + b"\0" * 20 + first[90:] + second)
    with RunFolder.claim(tmp_path) as folder:
        folder.begin(manifest())
        assert folder.done == {("b", 0)}


def test_a_damaged_line_in_the_middle_is_an_error_not_a_gap(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    file = tmp_path / "records.jsonl"
    file.write_bytes(b'{"task": 3}\n' + file.read_bytes())
    with pytest.raises(ViubenchError, match="cannot be read") as caught:
        list(read_records(tmp_path))
    assert (caught.value.where or "").endswith("records.jsonl:1")


def test_what_may_end_better_is_tried_again_and_a_broken_video_is_not(tmp_path: Path) -> None:
    passing = ("missing", "changed", "crashed", "timeout", "empty", "lfs_pointer")
    with RunFolder.claim(tmp_path) as folder:
        folder.begin(manifest())
        folder.append(record("a", status="engine_error", error=Failure(fault="engine")))
        folder.append(record("b", status="media_error", error=Failure(fault="corrupt")))
        for fault in passing:
            folder.append(record(fault, status="media_error", error=Failure(fault=fault)))
    with RunFolder.claim(tmp_path) as folder:
        folder.begin(manifest())
        assert list(folder.done) == [("b", 0)]


def test_another_run_is_refused_and_named(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])
    with RunFolder.claim(tmp_path) as folder, pytest.raises(ViubenchError, match="another seed") as caught:
        folder.begin(manifest(seed=1))
    assert "--fresh" in (caught.value.hint or "")


def test_a_run_that_was_not_deterministic_does_not_become_so_half_way(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])
    with RunFolder.claim(tmp_path) as folder, pytest.raises(ViubenchError, match="another choice of --deterministic"):
        folder.begin(manifest(engine={"kind": "random", "deterministic": True}))


def test_fresh_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])
    (tmp_path / "notes.txt").write_text("mine")
    with RunFolder.claim(tmp_path, fresh=True) as folder:
        folder.begin(manifest(seed=1))
        assert folder.done == set()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_fresh_costs_nothing_before_the_new_run_begins(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])
    with RunFolder.claim(tmp_path, fresh=True):
        pass  # planning found a mistake
    assert [record.id for record in read_records(tmp_path)] == ["a"]


def test_a_folder_of_other_things_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ViubenchError, match=r"thesis\.tex"):
        RunFolder.claim(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with RunFolder.claim(tmp_path), pytest.raises(ViubenchError, match="another process"):
        RunFolder.claim(tmp_path)


def test_what_is_no_run_or_not_finished_or_too_new_is_said(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="not a run folder"):
        read_manifest(tmp_path)
    fill(tmp_path, ["a"])
    with pytest.raises(ViubenchError, match="not a run folder") as caught:
        read_manifest(tmp_path.parent)
    assert (caught.value.hint or "").startswith("it holds runs, as ")
    with pytest.raises(ViubenchError, match="not finished"):
        read_results(tmp_path)
    data = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(data | {"schema": 99}))
    with pytest.raises(ViubenchError, match="newer viubench"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sampling": {"frames": 12}}, "sampling.frames: 48 there, 12 now"),
        ({"decoding": {"temperature": 0.5}}, "decoding.temperature: 0.0 there, 0.5 now"),
    ],
)
def test_another_protocol_is_named_by_what_differs(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    old = Catalogue().protocols["viubench"]
    data = old.model_dump() | {"protocol": "viubench+changed"}
    new = Protocol.model_validate(data | {name: data[name] | fields for name, fields in change.items()})
    was, now = (manifest().model_copy(update={"protocols": {"t": ProtocolEntry.of(one)}}) for one in (old, new))
    with pytest.raises(ViubenchError, match=f"another protocol t.{said}"):
        check_same(was, now, tmp_path)
