"""The Python API: an evaluation from every kind of argument, its tables, comparisons and gates; nothing is printed."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer.main

import viubench
from reports.data.runs import load_runs
from reports.tables.agreement import agreements
from viubench.cli import app
from viubench.export.finished import FinishedRun
from viubench.runner.config import EvalConfig
from viubench.schema.records import Record

TASKS = ["viubench_jigsaw_easy", "viubench_ground_mirror"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "api-cache"))


@pytest.fixture(scope="module")
def items(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("api") / "items"
    report = viubench.build_items(
        "viubench-mini", str(clips), str(out), n=2, frame_cache=tmp_path_factory.getbasetemp() / "api-cache"
    )
    assert report.out == out
    return out


@pytest.mark.parametrize(
    ("name", "told"),
    [("fresh", "--fresh is resume=False"), ("max_token", "did you mean max_tokens?"), ("xyzzy", "see help")],
)
def test_a_keyword_that_is_none_is_told_with_the_one_that_is_meant(name: str, told: str) -> None:
    with pytest.raises(TypeError, match=f"evaluate\\(\\) has no '{name}'; {told}".replace("?", "\\?")):
        viubench.evaluate(tasks="viubench", **{name: 1})  # type: ignore[arg-type]


class Echo(viubench.Engine):
    """An engine of the user's own: sees the frames, gives the true answer to every second question."""

    kind = "echo"
    max_in_flight = 4

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    async def generate(self, request: viubench.Request) -> viubench.Response:
        self.shapes += [video.pixels.shape for video in request.videos]
        return viubench.Response(request.sample.answer_text if len(self.shapes) % 2 else "no", "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "echo", "version": "1"}


def test_an_evaluation_and_its_tables(items: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[viubench.Progress] = []
    run = viubench.evaluate(tasks=items, engine="oracle", out=str(tmp_path / "run"), progress=seen.append)
    assert capsys.readouterr() == ("", "")
    assert run.valid
    assert {task.value for task in run.results.tasks.values()} == {1.0}
    assert (seen[0].stage, seen[-1].done) == ("answering", seen[-1].total)
    assert seen[-1].statuses == {"ok": len(run.records)}
    frame = run.to_frame()
    assert len(frame) == len(run.records) == 18
    assert set(Record.model_fields) <= set(frame.columns)
    assert frame["score.exact"].dropna().eq(1).all()
    summary = run.summary().set_index("task")
    assert summary.loc["viubench_jigsaw_easy", "value"] == 1
    html = run._repr_html_()
    assert "viubench_jigsaw_easy" in html
    assert "<script" not in html
    assert viubench.load_run(tmp_path / "run").results == run.results


def test_a_name_labels_a_run_and_keeps_two_servers_apart(items: Path, tmp_path: Path) -> None:
    def run(place: str, name: str | None) -> viubench.Run:
        return viubench.evaluate(tasks=items, engine=Echo(), out=tmp_path / place, limit=2, name=name)

    runs = [run("one", "echo at 9001"), run("two", "echo at 9002"), run("three", None), run("four", None)]
    assert [one.model for one in runs] == ["echo at 9001", "echo at 9002", "echo", "echo"]
    assert runs[0].results.model == "echo at 9001"
    assert [one.manifest.model.get("id") for one in runs] == ["echo", "echo", None, None]
    (repeat,) = agreements(load_runs([one.path for one in runs]), "abcd")
    assert (repeat.first, repeat.second) == ("c (echo)", "d (echo)")
    assert "echo at 9001" in viubench.compare(runs[0], runs[1]).a.model
    with pytest.raises(viubench.ViubenchError, match="'echo' does not say whose model it is"):
        FinishedRun.read(runs[0].path).model_id(None)
    with pytest.raises(viubench.ViubenchError, match="name of the run is empty"):
        run("five", " ")


def test_without_a_folder_it_is_a_temporary_one(items: Path) -> None:
    run = viubench.evaluate(tasks=[items], engine="random", limit=1)
    assert run.path.is_dir()
    assert len(run.records) == 9
    folder = run.path
    del run
    assert not folder.exists()


def test_an_engine_object_is_shown_the_videos(items: Path, tmp_path: Path) -> None:
    engine = Echo()
    run = viubench.evaluate(model=engine, tasks=items, out=tmp_path / "run", limit=1)
    assert run.manifest.model["name"] == "echo"
    assert engine.shapes
    assert all(len(shape) == 4 for shape in engine.shapes)
    assert 0 < sum(run.to_frame()["status"] == "ok") < len(run.records)
    with pytest.raises(viubench.ViubenchError, match="has its own settings"):
        viubench.evaluate(model=engine, tasks=items, engine_args={"dtype": "float32"})
    with pytest.raises(viubench.ViubenchError, match="has its own settings"):
        viubench.evaluate(model=engine, tasks=items, base_model="some/base")


def test_tasks_by_name_file_folder_and_object_mixed(items: Path, clips: Path, tmp_path: Path) -> None:
    own = tmp_path / "tasks" / "my_jigsaw.yaml"
    own.parent.mkdir()
    source = (Path(viubench.get_task.__globals__["Catalogue"]().task_files["viubench_jigsaw_easy"])).read_text()
    own.write_text(source.replace("task: viubench_jigsaw_easy", "task: my_jigsaw"))
    task = viubench.get_task("viubench_ground_mirror").model_copy(update={"task": "my_mirror"})
    mixed = ["viubench_jigsaw_hard", own, task]
    run = viubench.evaluate(tasks=mixed, engine="oracle", videos=str(clips), limit=1, out=tmp_path / "a")
    assert set(run.results.tasks) == {"viubench_jigsaw_hard", "my_jigsaw", "my_mirror"}
    again = viubench.evaluate(tasks=own.parent, engine="oracle", videos=clips, limit=1, out=tmp_path / "b")
    assert set(again.results.tasks) == {"my_jigsaw"}
    with_items = viubench.evaluate(tasks=[items, task], engine="oracle", videos=clips, limit=1, out=tmp_path / "c")
    assert len(with_items.results.tasks) == 10
    with pytest.raises(viubench.ViubenchError, match="given twice"):
        viubench.evaluate(tasks=[items, "viubench_jigsaw_easy"], engine="oracle", videos=clips, limit=1)


def test_it_works_inside_a_running_event_loop(items: Path, tmp_path: Path) -> None:
    async def both() -> tuple[viubench.Run, viubench.Run]:
        plain = viubench.evaluate(tasks=items, engine="random", out=tmp_path / "a")
        return plain, await viubench.evaluate_async(tasks=items, engine="random", out=tmp_path / "b")

    plain, awaited = asyncio.run(both())
    assert plain.results == awaited.results


def test_it_resumes_or_starts_again(items: Path, tmp_path: Path) -> None:
    first = viubench.evaluate(tasks=items, engine="random", out=tmp_path / "run")
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "records.jsonl").write_text("".join(lines[:5]))
    resumed = viubench.evaluate(tasks=items, engine="random", out=tmp_path / "run")
    assert resumed.results == first.results
    with pytest.raises(viubench.ViubenchError, match="another seed"):
        viubench.evaluate(tasks=items, engine="random", out=tmp_path / "run", seed=1)
    assert viubench.evaluate(tasks=items, engine="random", out=tmp_path / "run", seed=1, resume=False).valid


def test_answers_that_are_there_are_scored(items: Path, tmp_path: Path) -> None:
    oracle = viubench.evaluate(tasks=items, engine="oracle", out=tmp_path / "oracle")
    answers = {record.id: record.response or "" for record in oracle.records}
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"id": name, "response": text}) + "\n" for name, text in answers.items()))
    rows = [{"id": name, "response": text} for name, text in answers.items()]
    runs = [viubench.score(items, given, out=tmp_path / str(k)) for k, given in enumerate((answers, rows, file))]
    assert [run.results.tasks for run in runs] == [oracle.results.tasks] * 3
    assert [run.model for run in runs] == ["responses", "responses", "answers"]
    with pytest.raises(viubench.ViubenchError, match="belong to no sample"):
        viubench.score(items, {"nobody": "A"})
    with pytest.raises(viubench.ViubenchError, match="answered twice"):
        viubench.score(items, [*rows, rows[0]])


def test_runs_are_compared_and_gated(items: Path, tmp_path: Path) -> None:
    base = viubench.evaluate(tasks=items, engine="oracle", out=tmp_path / "base")
    worse = viubench.evaluate(tasks=items, engine="random", out=tmp_path / "worse")
    report = viubench.compare(base, str(worse.path))
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["task"])[-1] == "mean"
    assert frame["difference"].min() < 0
    assert "viubench_jigsaw_hard" in report._repr_html_()
    verdict = viubench.gate(base, worse.path, {"margins": {"default": 0.01}})
    assert verdict.exit_code != 0
    assert set(verdict.to_frame()["task"]) == set(base.results.tasks)
    assert verdict.verdict in verdict._repr_html_()
    assert viubench.gate(base, base).verdict == "pass"
    with pytest.raises(viubench.ViubenchError, match="margin"):
        viubench.gate(base, worse, {"margin": 1})
    assert [run.path.name for run in viubench.load_runs(str(tmp_path / "*"))] == ["base", "worse"]
    with pytest.raises(viubench.ViubenchError, match="no run matches"):
        viubench.load_runs(str(tmp_path / "none*"))


def test_what_a_user_should_know_is_logged(items: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Echo):
        async def generate(self, request: viubench.Request) -> viubench.Response:
            raise viubench.EngineError("no more memory")

    with caplog.at_level(logging.DEBUG, "viubench"):
        run = viubench.evaluate(model=Broken(), tasks=items, limit=1, out=tmp_path / "run")
    assert not run.valid
    assert "9 x engine error: no more memory" in caplog.text
    assert run.failures() == {"engine error: no more memory": 9}
    assert "no more memory" not in (tmp_path / "run" / "results.json").read_text()
    assert "engine_error 9" in (tmp_path / "run" / "run.log").read_text()


def test_a_dry_run_counts_and_answers_nothing(clips: Path, tmp_path: Path) -> None:
    dry = viubench.dry_run(engine="random", tasks=TASKS, videos=clips, limit=2)
    assert len(dry.plan.samples) == 4
    assert dry.missing.samples == 0
    assert dry.memory is None


def test_mistakes_are_viubench_errors(tmp_path: Path) -> None:
    for options, match in (
        ({"tasks": "viubench_jigsaw_esay", "engine": "random"}, "unknown task or suite"),
        ({"tasks": "viubench-mini", "engine": "randon"}, "no such engine"),
        ({"tasks": "viubench-mini"}, "no model was named"),
        ({"tasks": [], "engine": "random"}, "no task was named"),
        ({"tasks": "viubench-mini", "engine": "random", "limit": 0}, "limit is 0"),
        ({"tasks": "viubench-mini", "engine": "random"}, "none were given"),
    ):
        with pytest.raises(viubench.ViubenchError, match=match):
            viubench.evaluate(**options)  # type: ignore[arg-type]
    with pytest.raises(viubench.ViubenchError, match="not a run folder"):
        viubench.load_run(tmp_path)


@pytest.mark.parametrize(("command", "function"), [("run", viubench.evaluate), ("score", viubench.score)])
def test_every_option_of_the_command_has_its_keyword(command: str, function: Any) -> None:
    """What only concerns the terminal aside: --quiet is `progress=None`, --dry-run is `viubench.dry_run`, and
    --follow-links sets an environment variable."""
    options = {param.name for param in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    renamed = {"fresh": "resume", "engine_arg": "engine_args", "quiet": "progress"}
    keywords = set(inspect.signature(function).parameters)
    assert {renamed.get(name, name) for name in options - {"dry_run", "follow_links"}} <= keywords
    assert keywords - {renamed.get(name, name) for name in options} == {"argv"}
    if command == "run":
        assert inspect.signature(viubench.dry_run) == inspect.signature(function) == inspect.signature(EvalConfig)
        assert "max_errors: share of media and engine errors" in (function.__doc__ or "")


def test_the_import_is_light() -> None:
    code = "import sys, viubench; dir(viubench); print([m for m in ('numpy', 'pandas', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_script_needs_no_main_guard(items: Path, tmp_path: Path) -> None:
    """Three lines of a file, run as they are: the decoding processes do not run them again."""
    script = tmp_path / "three.py"
    script.write_text(
        "import viubench\nprint('begun')\n"
        "class Blank(viubench.Engine):\n"
        "    kind = 'blank'\n"
        "    async def generate(self, request): return viubench.Response('no')\n"
        "    def describe(self): return {'model': 'blank'}\n"
        f"run = viubench.evaluate(Blank(), {str(items)!r}, limit=1, workers=2)\n"
        "print(run.valid, len(run.records))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=240)
    assert done.stdout.splitlines() == ["begun", "True 9"], done.stderr
