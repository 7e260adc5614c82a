"""Saved baselines: what is kept, that the gate finds the same in it, that a change is noticed; and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paired_runs import Row, rows, write
from typer.testing import CliRunner

from viubench import compare_runs
from viubench.cli import app
from viubench.comparison.gate import gate
from viubench.errors import ViubenchError
from viubench.storage import reference_run


def invoke(*arguments: object) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output, done.exception


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write(tmp_path / "run", {"t": rows([1.0] * 30 + [0.0] * 10, videos=8), "u": rows([None, 1.0, 0.0])})


def test_the_gate_finds_the_same_in_the_saved_baseline(run: Path, tmp_path: Path) -> None:
    saved = reference_run.save(run, "main", tmp_path / "baselines")
    other = write(tmp_path / "b", {"t": rows([1.0] * 20 + [0.0] * 20, videos=8), "u": rows([1.0, 1.0, 0.0])})
    for one, two in (((run, other), (saved, other)), ((other, run), (other, saved))):
        straight, kept = gate(*one), gate(*two)
        assert (kept.tasks, kept.mean, kept.verdict) == (straight.tasks, straight.mean, straight.verdict)
    found = gate(saved, other)
    assert found.baseline.files.keys() == {"manifest.json", "records.jsonl", "results.json"}
    assert found.tasks["t"].verdict == "regress"
    assert compare_runs(saved, other).tasks["t"].diff == compare_runs(run, other).tasks["t"].diff


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([1.0, 0.0, None]), st.text(max_size=8)), min_size=1, max_size=8))
def test_same_answers_are_the_same_to_a_saved_baseline(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[float | None, str]]
) -> None:
    """Also where no answer was read out, and only the responses say whether both said the same."""
    folder = tmp_path_factory.mktemp("same")
    made = [Row(str(n), score, f"v{n}", answer=said) for n, (score, said) in enumerate(found)]
    run = write(folder / "run", {"t": made})
    saved = reference_run.save(run, "main", folder)
    assert gate(saved, run).verdict == "pass"
    first = Row(made[0].id, made[0].score, "v0", answer=f"{made[0].answer} or not")
    other = write(folder / "other", {"t": [first, *made[1:]]})
    kept, straight = gate(saved, other).tasks["t"].evidence, gate(run, other).tasks["t"].evidence
    assert kept == straight
    assert kept is not None
    assert not kept.same_answers


def test_equal_runs_give_equal_bytes_whatever_was_finished_first(run: Path, tmp_path: Path) -> None:
    first = reference_run.save(run, "main", tmp_path / "a")
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text("".join(reversed(lines)))
    second = reference_run.save(run, "main", tmp_path / "b")
    names = {path.name for path in first.iterdir()}
    assert names == {"baseline.json", "manifest.json", "records.jsonl", "results.json"}
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert json.loads((first / "baseline.json").read_text()).keys() == {"schema", "name", "files"}


def test_questions_and_answered_responses_are_not_kept(run: Path, tmp_path: Path) -> None:
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    long = [record | {"question": "q" * 5000, "response": "r" * 5000} for record in records]
    (run / "records.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in long))
    kept = [
        json.loads(one) for one in (reference_run.save(run, "m", tmp_path) / "records.jsonl").read_text().splitlines()
    ]
    assert [record["id"] for record in kept] == sorted(record["id"] for record in records)
    assert not any("question" in record for record in kept)
    assert [record["id"] for record in kept if "response" in record] == ["u-00000"]
    assert (tmp_path / "m" / "records.jsonl").stat().st_size < 15_000


@pytest.mark.parametrize("name", ["manifest.json", "records.jsonl", "results.json"])
def test_a_changed_file_is_refused_with_its_name(run: Path, tmp_path: Path, name: str) -> None:
    saved = reference_run.save(run, "main", tmp_path)
    assert reference_run.changes(saved) == {}
    with (saved / name).open("a") as file:
        file.write("\n")
    assert reference_run.changes(saved) == {name: "changed"}
    report = gate(saved, run)
    assert (report.exit_code, report.problems) == (
        4, [f"{saved} is not the reference run that was saved: {name} is changed"]
    )  # fmt: skip
    with pytest.raises(ViubenchError, match=f"{name} is changed") as error:
        compare_runs(saved, run)
    assert (error.value.where, error.value.exit_code) == (str(saved), 4)
    (saved / name).unlink()
    assert reference_run.changes(saved) == {name: "missing"}


def test_a_card_that_is_damaged_or_leaves_a_file_out_is_no_free_pass(run: Path, tmp_path: Path) -> None:
    saved = reference_run.save(run, "main", tmp_path)
    card = json.loads((saved / "baseline.json").read_text())
    (saved / "baseline.json").write_text(json.dumps(card | {"files": {}}))
    assert set(reference_run.changes(saved)) == {"manifest.json", "records.jsonl", "results.json"}
    for damaged in ("{", "[]", json.dumps(card | {"more": 1})):
        (saved / "baseline.json").write_text(damaged)
        assert reference_run.changes(saved) == {"baseline.json": "unreadable"}


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "/etc", "-x", "a\nb", "a b", "x" * 101, "é"])
def test_a_name_stays_in_its_folder(run: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ViubenchError, match="cannot name a baseline"):
        reference_run.save(run, name, tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()


def test_a_name_finds_its_baseline_and_a_folder_its_run(run: Path, tmp_path: Path) -> None:
    kept = tmp_path / "baselines"
    saved = reference_run.save(run, "main", kept)
    assert reference_run.find("main", kept) == saved
    assert reference_run.find(str(run), kept) == run
    assert reference_run.find(str(saved), kept) == saved
    (saved / "manifest.json").unlink()
    assert reference_run.find("main", kept) == saved, "what is missing in it is told later"
    with pytest.raises(ViubenchError, match="'mian' is neither a run folder nor a baseline") as error:
        reference_run.find("mian", kept)
    assert error.value.hint == "did you mean main?"


def test_save_and_show_print_what_is_kept(run: Path, tmp_path: Path) -> None:
    kept = tmp_path / "baselines"
    code, output, _ = invoke("baseline", "save", run, "--name", "main", "--dir", kept)
    assert code == 0
    assert "main: m (answers)" in output
    assert output.rstrip().endswith(str(kept / "main"))
    code, shown, _ = invoke("baseline", "show", "main", "--dir", kept)
    assert (code, shown) == (0, output.removesuffix(f"{kept / 'main'}\n"))
    assert [row.split() for row in shown.splitlines()[3:]] == [
        ["t", "75.0", *shown.splitlines()[3].split()[2:5], "40", "p", "h"],
        ["u", "33.3", *shown.splitlines()[4].split()[2:5], "3", "p", "h"],
    ]
    assert invoke("baseline", "save", run, "--name", "second", "--dir", kept)[0] == 0
    code, shown, _ = invoke("baseline", "show", "--dir", kept)
    assert (code, shown.count("as saved")) == (0, 2)
    told = json.loads(invoke("baseline", "show", "--dir", kept, "--json")[1])
    assert [(one["baseline"], one["model"], one["scores"]["t"], one["changed"]) for one in told] == [
        ("main", "m", 0.75, {}),
        ("second", "m", 0.75, {}),
    ]
    (kept / "second" / "results.json").write_text("{}")
    code, shown, _ = invoke("baseline", "show", "--dir", kept)
    assert (code, shown.count("as saved"), shown.count("results.json is changed")) == (4, 1, 1)
    _, _, error = invoke("baseline", "show", "second", "--dir", kept)
    assert "results.json is changed" in str(error)
    _, _, error = invoke("baseline", "show", "--dir", tmp_path / "none")
    assert "there is no saved reference run in" in str(error)


def test_a_baseline_is_replaced_only_when_asked_and_nothing_else_ever(run: Path, tmp_path: Path) -> None:
    saved = reference_run.save(run, "main", tmp_path)
    better = write(tmp_path / "better", {"t": rows([1.0] * 40, videos=8), "u": rows([1.0, 1.0, 0.0])})
    _, _, error = invoke("baseline", "save", better, "--name", "main", "--dir", tmp_path)
    assert "is there already" in str(error)
    assert gate(saved, run).verdict == "pass"
    assert invoke("baseline", "save", better, "--name", "main", "--dir", tmp_path, "--replace")[0] == 0
    assert gate(saved, better).verdict == "pass"
    assert gate(saved, run).verdict == "regress"
    with pytest.raises(ViubenchError, match="is there already and is no baseline"):
        reference_run.save(better, "run", tmp_path, replace=True)


def test_a_run_that_cannot_be_compared_cannot_be_a_baseline(run: Path, tmp_path: Path) -> None:
    failed = [Row(str(n), None, str(n), status="engine_error" if n < 2 else "ok") for n in range(20)]
    broken = write(tmp_path / "broken", {"t": failed})
    unfinished = write(tmp_path / "unfinished", {"t": rows([1.0])})
    (unfinished / "results.json").unlink()
    for bad, said in ((broken, "2 of 20 samples are media or engine errors"), (unfinished, "is not finished")):
        _, _, error = invoke("baseline", "save", bad, "--name", "main", "--dir", tmp_path / "kept")
        assert isinstance(error, ViubenchError)
        assert said in error.message
        assert error.exit_code == 4
        assert not (tmp_path / "kept").exists()
    done = invoke("baseline", "save", broken, "--name", "main", "--dir", tmp_path / "kept", "--max-errors", "0.1")
    assert done[0] == 0


def test_hostile_text_in_a_baseline_is_shown_as_text(tmp_path: Path) -> None:
    name = "\x1b[31m<b>\u202e\n::error::x"
    run = write(tmp_path / "run", {name: rows([1.0, 0.0])}, model=name)
    for shown in (
        invoke("baseline", "save", run, "--name", "main", "--dir", tmp_path)[1],
        invoke("baseline", "show", "--dir", tmp_path)[1],
    ):
        assert "␛[31m<b>‹U+202E›␊::error::x" in shown
        assert not {c for c in shown if (ord(c) < 0x20 and c != "\n") or c == "\u202e"}
        assert not [one for one in shown.splitlines() if one.lstrip().startswith("::")]
