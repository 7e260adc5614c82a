"""A run folder that is full, damaged, mixed up or not ours: no answer is lost, counts twice, or changes in silence."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_runs import manifest, record
from test_server_faults import TASK

import viubench
from viubench.engines.baselines import OracleEngine
from viubench.errors import Exit, ViubenchError
from viubench.storage import output, record_log
from viubench.storage.record_log import DAMAGED, FILE
from viubench.storage.run_dir import RunFolder, read_manifest, read_records, read_results


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A task of six questions, for engines that open no video."""
    (tmp_path / "colours.yaml").write_text(TASK)
    (tmp_path / "data" / "colours").mkdir(parents=True)
    write_rows(tmp_path, "Which is {}?")
    return tmp_path


def write_rows(root: Path, question: str) -> None:
    rows = [
        {"clip": "k", "question": question.format(n), "choices": ["red", "blue"], "answer": "red"} for n in range(6)
    ]
    (root / "data" / "colours" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))


def run(data: Path, **more: Any) -> viubench.Run:
    given = {"engine": "oracle", "out": data / "run"} | more
    return viubench.evaluate(tasks=data / "colours.yaml", data_root=data / "data", **given)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """A call limits how large a file may become, as a full disk does; the signal that comes with it is ignored here
    as Python does."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python 3.11 would leave it cut off
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_a_run_in_words_and_the_same_command_ends_it_equal(
    data: Path, small_files: Callable[[int], None]
) -> None:
    expected = run(data, out=data / "whole").results
    size = (data / "whole" / FILE).stat().st_size
    shutil.copytree(data / "whole", data / "run")
    os.truncate(data / "run" / FILE, 0)
    small_files(max(size // 2, (data / "whole" / "manifest.json").stat().st_size))
    for _ in range(2):  # also while it is still full
        with pytest.raises(ViubenchError, match=r"records\.jsonl: File too large") as caught:
            run(data)
        assert caught.value.exit_code == Exit.USAGE
        assert caught.value.hint == output.FULL
        assert 0 < len(list(read_records(data / "run"))) < 6
    small_files(resource.RLIM_INFINITY)
    assert run(data).results == expected
    assert len(list(read_records(data / "run"))) == 6


def test_after_a_failed_write_nothing_more_is_written(tmp_path: Path, small_files: Callable[[int], None]) -> None:
    with RunFolder.claim(tmp_path) as folder:
        folder.begin(manifest())
        folder.append(record("a"))
        small_files((tmp_path / FILE).stat().st_size + 20)
        with pytest.raises(ViubenchError):
            folder.append(record("b"))
        small_files(resource.RLIM_INFINITY)
        with pytest.raises(ViubenchError):  # the answer before it is lost: what comes then would hide that
            folder.append(record("c"))
        assert folder.done == {("a", 0)}
    assert [one.id for one in read_records(tmp_path)] == ["a"]
    assert (tmp_path / FILE).read_bytes().endswith(b"}\n")


def test_a_run_without_its_manifest_is_refused(data: Path) -> None:
    run(data)
    (data / "run" / "manifest.json").unlink()
    before = (data / "run" / FILE).read_bytes()
    with pytest.raises(ViubenchError, match=r"its manifest\.json, .* is missing") as caught:
        run(data)
    assert "--fresh" in (caught.value.hint or "")
    assert (data / "run" / FILE).read_bytes() == before


def test_other_items_of_the_same_ids_are_another_run(data: Path) -> None:
    ids = "".join(f"row-{n}\n" for n in range(6)).split()
    task = (data / "colours.yaml").read_text()
    (data / "colours.yaml").write_text(task.replace("question:", 'id: "row-{{ question[-2] }}"\nquestion:'))
    run(data)
    assert sorted(one.id.rpartition("-")[2] for one in read_records(data / "run")) == [one[-1] for one in ids]
    write_rows(data, "Which one is it, of {}?")
    with pytest.raises(ViubenchError, match="other items"):
        run(data)


def test_an_older_manifest_does_not_say_what_its_samples_held(data: Path) -> None:
    run(data)
    file = data / "run" / "manifest.json"
    told = json.loads(file.read_text())
    del told["tasks"]["colours"]["samples_hash"]
    file.write_text(json.dumps(told))
    assert run(data).results.tasks["colours"].n == 6


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda line: line[:50] + b"\n",
    "garbage": lambda line: b"garbage \xff\xfe{}\n",
    "blank": lambda line: b"\n",
    "zeros": lambda line: b"\0" * 200 + b"\n",
    "bom": lambda line: b"\xef\xbb\xbf" + line,
    "flipped inside": lambda line: line.replace(b'"scores"', b'"scor\xc5s"'),
    "wrong type": lambda line: line.replace(b'"scores":{"accuracy":1.0}', b'"scores":{"accuracy":[]}'),
    "glued to a torn one": lambda line: line[:70] + line,
    "nested": lambda line: b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_line_that_cannot_be_read_costs_its_own_answer_at_most(data: Path, how: str, place: int) -> None:
    expected = run(data).results
    file = data / "run" / FILE
    lines = file.read_bytes().splitlines(keepends=True)
    bad = DAMAGE[how](lines[place])
    file.write_bytes(b"".join([*lines[:place], bad, *lines[place + 1 :]]))
    with pytest.raises(ViubenchError, match="cannot be read") as caught:
        list(read_records(data / "run"))
    assert caught.value.hint == record_log.HINT
    asked = []
    done = run(data, progress=lambda event: asked.append(event.done))
    assert done.results == expected
    assert asked[0] == 5 + (how in ("bom", "glued to a torn one"))  # what is still whole at a line's end is kept
    assert (data / "run" / DAMAGED).read_bytes() == bad
    assert f"1 lines of {FILE} cannot be read" in (data / "run" / "run.log").read_text()
    assert len(list(read_records(data / "run"))) == 6


def test_records_of_other_questions_are_refused(data: Path) -> None:
    run(data)
    file = data / "run" / FILE
    first = file.read_bytes().splitlines(keepends=True)[0]
    file.write_bytes(file.read_bytes() + first.replace(b'"id":"', b'"id":"other-'))
    with pytest.raises(ViubenchError, match="1 records are of no answer that this run asks for"):
        run(data)


@pytest.mark.parametrize(
    "edit", [{"seed": 7}, {"model": {"name": "better"}}, {"engine": {"kind": "vllm"}}, {"tasks": {}}, {"protocols": {}}]
)
def test_a_manifest_that_was_edited_is_noticed(data: Path, edit: dict[str, Any]) -> None:
    run(data)
    file = data / "run" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | edit))
    with pytest.raises(ViubenchError, match="not the one that its results were made with") as caught:
        read_results(data / "run")
    assert caught.value.exit_code == Exit.INVALID_RUN
    with pytest.raises(ViubenchError, match=r"not the one|manifest\.json is damaged"):
        viubench.gate(data / "run", data / "run")


def test_where_and_when_a_run_was_made_does_not_change_its_results(data: Path) -> None:
    run(data, argv=["viubench", "run"])
    run(data, out=data / "other", argv=["viubench", "run", "--elsewhere"])
    results = [(data / name / "results.json").read_bytes() for name in ("run", "other")]
    assert results[0] == results[1]
    assert b"manifest_hash" in results[0]


def test_what_nobody_foresaw_costs_its_question_and_is_tried_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(data, out=data / "whole").results
    answer = OracleEngine.generate

    async def generate(self: OracleEngine, request: Any) -> Any:
        if "3" in request.sample.question:
            raise KeyError("never thought of")
        return await answer(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(OracleEngine, "generate", generate)
        assert run(data).results.tasks["colours"].statuses == {"ok": 5, "engine_error": 1}
    assert run(data).results == expected


@pytest.mark.parametrize("name", ["manifest.json", "results.json"])
@pytest.mark.parametrize(
    "text",
    [
        '{"schema": "x"}', '{"schema": null}', '{"schema": {}}', '{"schema": 1e999}', "[1]", '"\\ud800"', "", "\0",
        "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, '{"schema": ' + "9" * 5000 + "}",
    ],
    ids=range(11),
)  # fmt: skip
def test_a_damaged_file_of_a_run_is_one_error(data: Path, name: str, text: str) -> None:
    run(data)
    (data / "run" / name).write_text(text)
    with pytest.raises(ViubenchError):
        read_manifest(data / "run") if name == "manifest.json" else read_results(data / "run")


def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_asked(data: Path) -> None:
    run(data)
    (data / "run" / "results.json").unlink()
    (data / "run" / "results.json").mkdir()
    with pytest.raises(ViubenchError, match="it is a folder, not a file"):
        RunFolder.claim(data / "run")


@pytest.mark.parametrize("out", ["/proc/no/run", "x" * 300, "y/" * 2500, "file", "file/run"])
def test_an_output_folder_that_cannot_be_is_told_at_the_start(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ViubenchError) as caught:
        output.folder(tmp_path / out, "--out")
    assert caught.value.where == "--out"


COMMAND = """
import sys
from viubench.cli import main
import viubench.cli.tasks, typer
app = typer.Typer()
@app.command()
def fail(kind: str) -> None:
    if kind == "os": open("/dev/full", "w").write("x" * 100_000)
    if kind == "memory": raise MemoryError
    if kind == "no memory":
        sys.modules["reports.html.escape"] = None  # it cannot be imported, not even to say so
        raise MemoryError
    if kind == "no file":
        class Full:
            def find_spec(self, *_: object) -> None: raise OSError(12, "Cannot allocate memory")
        sys.modules.pop("reports.html.escape", None)
        sys.meta_path.insert(0, Full())
        raise MemoryError
    if kind == "group": raise ExceptionGroup("x", [ExceptionGroup("y", [OSError(28, "No space left on device")])])
    raise {}["key"]
main(app)
"""


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("os", 2, "No space left"),
        ("group", 2, "No space left"),
        ("memory", 2, "not enough memory"),
        ("no memory", 2, "not enough memory"),
        ("no file", 2, "not enough memory"),
        ("bug", 70, "this is a bug: KeyError: 'key'"),
    ],
)
def test_no_failure_is_a_traceback_or_looks_like_a_verdict(kind: str, code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND, kind], capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
