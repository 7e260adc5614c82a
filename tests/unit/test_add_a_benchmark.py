"""What docs/add-a-benchmark.md promises: its YAML, its adapter and its metric work as they are printed there."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import evaluators
from evaluators import plugins
from viubench import build_items
from viubench.cli import app
from viubench.datasets import adapters
from viubench.engines.base import Request, Response
from viubench.engines.baselines import BlindEngine
from viubench.errors import ViubenchError
from viubench.pretext import generate, kinds
from viubench.runner import trials
from viubench.schema import PLUGINS, PluginSpec
from viubench.video import synthetic

PAGE = (Path(__file__).parents[2] / "docs/add-a-benchmark.md").read_text()
ROOMS = ("home", "canteen", "home")


def block(kind: str, holding: str) -> str:
    """The code block of a kind that holds a text."""
    return next(text for text in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) if holding in text)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """The page's task, twelve rows in the page's form, and the clips they speak of."""
    task, row = block("yaml", "task: kitchen_qa"), json.loads(block("json", "clip"))
    assert len(task.splitlines()) <= 20
    (tmp_path / "my_tasks").mkdir()
    (tmp_path / "my_tasks/kitchen_qa.yaml").write_text(task)
    data = tmp_path / "data/kitchen_qa"
    synthetic.draw(data / "videos", 3, seed=5, seconds=1.0, size=(96, 64))
    for number, clip in enumerate(sorted((data / "videos").iterdir())):
        clip.rename(clip.with_name(f"k{number:02d}.mp4"))
    rows = [
        row | {"clip": f"k{n % 3:02d}", "question": f"What is cut at {n}?", "answer": row["choices"][n % 2],
               "room": ROOMS[n % 3]}
        for n in range(12)
    ]  # fmt: skip
    (data / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def viubench(world: Path, *words: str) -> Any:
    where = ["--data-root", str(world / "data"), "--include-path", str(world / "my_tasks")]
    return CliRunner().invoke(app, [*words, *where])


def test_the_page_s_task_is_validated_and_run(world: Path) -> None:
    done = viubench(world, "tasks", "validate", str(world / "my_tasks/kitchen_qa.yaml"))
    assert (done.exit_code, done.output.split()[0]) == (0, "ok")
    done = viubench(world, "run", "--engine", "oracle", "--tasks", "kitchen_qa", "--out", str(world / "run"), "--quiet")
    assert done.exit_code == 0, done.output
    result = json.loads((world / "run/results.json").read_text())["tasks"]["kitchen_qa"]
    assert (result["value"], result["n"], result["clusters"]) == (1.0, 12, 3)
    assert {room: group["n"] for room, group in result["groups"]["room"].items()} == {"home": 8, "canteen": 4}
    assert result["chance"] == 0.5
    assert result["trivial"] == {"always A": 0.5, "always B": 0.5}


def test_empty_and_junk_answers_are_wrong_and_counted(world: Path) -> None:
    viubench(world, "run", "--engine", "oracle", "--tasks", "kitchen_qa", "--out", str(world / "run"), "--quiet")
    ids = [json.loads(line)["id"] for line in (world / "run/records.jsonl").read_text().splitlines()]
    answers = world / "answers.jsonl"
    texts = ["", ")", "A leek is what one sees.", "B, not A"]
    answers.write_text(
        "\n".join(json.dumps({"id": id_, "response": texts[n % 4]}) for n, id_ in enumerate(sorted(ids)))
    )
    done = viubench(
        world, "score", "--task", "kitchen_qa", "--responses", str(answers), "--out", str(world / "scored"), "--quiet"
    )
    assert done.exit_code == 0, done.output
    result = json.loads((world / "scored/results.json").read_text())["tasks"]["kitchen_qa"]
    assert result["statuses"] == {"ok": 3, "unparsed": 9}
    assert result["value"] == pytest.approx(result["as_published"] * 3 / 12, abs=1e-6)


def test_ready_answers_may_name_a_row_by_its_own_id_and_rows_may_be_one_file(world: Path) -> None:
    path = world / "my_tasks/kitchen_qa.yaml"
    path.write_text(path.read_text() + 'id: "{{ _index }}"\n')
    rows = [json.loads(line) for line in (world / "data/kitchen_qa/test.jsonl").read_text().splitlines()]
    lone = world / "lone.jsonl"
    lone.write_text("\n".join(map(json.dumps, rows[:3])))
    answers = world / "answers.jsonl"
    said = [{"id": "0", "response": "A"}, {"id": "kitchen_qa-1", "response": "A"}, {"id": "2", "response": "A"}]
    answers.write_text("\n".join(map(json.dumps, said)))
    words = ["score", "--task", "kitchen_qa", "--responses", str(answers), "--samples", str(lone), "--quiet"]
    words += ["--include-path", str(world / "my_tasks"), "--out", str(world / "scored")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    result = json.loads((world / "scored/results.json").read_text())["tasks"]["kitchen_qa"]
    assert (result["n"], result["value"]) == (3, pytest.approx(2 / 3, abs=1e-6))
    answers.write_text("\n".join(map(json.dumps, [*said, {"id": "1", "response": "B"}])))
    again = CliRunner().invoke(app, [*words, "--fresh"])
    assert "kitchen_qa-1 is answered twice" in str(again.exception)


class Looking(BlindEngine):
    """An engine that wants to see videos, and is never asked where too many are missing."""

    needs_media = True

    async def generate(self, request: Request) -> Response:
        assert request.videos[0].pixels.any()
        return Response("hm")


def test_a_missing_video_is_said_and_too_many_stop_a_run(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viubench.runner.evaluate.make", lambda *_, **__: Looking())
    (world / "data/kitchen_qa/videos/k01.mp4").unlink()
    words = ("run", "--model", "m", "--engine", "hf", "--tasks", "kitchen_qa", "--out", str(world / "run"), "--quiet")
    done = viubench(world, "run", "--engine", "random", "--tasks", "kitchen_qa", "--out", str(world / "d"), "--dry-run")
    assert "4 samples: videos/k01.mp4: missing" in done.output
    done = viubench(world, *words)
    assert isinstance(done.exception, ViubenchError)
    assert done.exception.exit_code == 4
    assert "4 of 12 samples have videos that cannot be used, more than --max-errors 0.01" in done.exception.message
    assert "--dry-run lists them; name their folder with --videos" in (done.exception.hint or "")
    assert not (world / "run/records.jsonl").exists()
    done = viubench(world, *words, "--max-errors", "0.5")
    assert "4 of 12 samples have videos that cannot be used; they count as wrong" in done.output
    result = json.loads((world / "run/results.json").read_text())["tasks"]["kitchen_qa"]
    assert result["statuses"] == {"media_error": 4, "unparsed": 8}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("{{ question }}", "{{ qestion }}", "did you mean 'question'?"),
        ("{{ choices }}", "{{ answer }}", "no lettered options"),
        ("{{ answer }}", "{{ room }}", "is none of the options"),
        ("test.jsonl", "tset.jsonl", "its rows are not here"),
        ("{{ clip }}", "{{ clip.name }}", "has no attribute 'name'"),
        ("rows:", "row:", "unknown key 'row'"),
        ("name: choice", "name: chioce", "did you mean choice?"),
        ("metric: accuracy", "metric: miou", "is not what choice gives"),
        ("protocol: fps2-32", "protocol: fps2-23", "did you mean fps2-"),
    ],
)
def test_a_mistake_is_refused_with_a_sentence(world: Path, old: str, new: str, sentence: str) -> None:
    path = world / "my_tasks/kitchen_qa.yaml"
    path.write_text(path.read_text().replace(old, new))
    done = viubench(world, "tasks", "validate", str(path))
    assert done.exit_code == 1
    assert sentence in done.output


def test_a_wrong_row_count_is_said(world: Path) -> None:
    rows = world / "data/kitchen_qa/test.jsonl"
    rows.write_text("\n".join(rows.read_text().splitlines()[:11]))
    done = viubench(world, "run", "--engine", "oracle", "--tasks", "kitchen_qa", "--out", str(world / "run"), "--quiet")
    assert done.exit_code == 0
    assert "kitchen_qa: 11 rows, but the published set has 12" in done.output


def defined(code: str, name: str) -> Any:
    """What a code block of the page defines."""
    space: dict[str, Any] = {"__name__": "my_package"}
    exec(compile(code, "docs/add-a-benchmark.md", "exec"), space)
    return space[name]


def test_the_page_s_adapter_reads_nested_rows(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "get", lambda name: defined(block("python", "def nested"), "nested"))
    data = world / "data/kitchen_qa"
    rows = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    nested = [{"clip": clip, "questions": [r for r in rows if r["clip"] == clip]} for clip in ("k00", "k01", "k02")]
    (data / "test.json").write_text(json.dumps(nested))
    path = world / "my_tasks/kitchen_qa.yaml"
    path.write_text(path.read_text().replace("files: [test.jsonl]", "files: [test.json], adapter: kitchen_nested"))
    assert viubench(world, "tasks", "validate", str(path)).exit_code == 0


def test_the_page_s_metric_grades(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = defined(block("python", "class Closeness"), "Closeness")
    known = dict(plugins.registered(evaluators.base.GROUP))
    point = EntryPoint("closeness", "my_package:Closeness", evaluators.base.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: metric if self is point else _load(self))
    monkeypatch.setattr(plugins, "registered", lambda group: known | {"closeness": point})
    path = world / "my_tasks/kitchen_qa.yaml"
    text = path.read_text().replace('options: "{{ choices }}"\n', "").replace("{name: choice}", "{name: closeness}")
    path.write_text(
        text.replace("metric: accuracy", "metric: closeness").replace("{{ answer }}", "{{ _index | string }}")
    )
    done = viubench(world, "tasks", "validate", str(path))
    assert done.exit_code == 0, done.output


_load = EntryPoint.load


def test_the_page_s_recipe_builds(world: Path) -> None:
    (world / "my-recipe.yaml").write_text(block("yaml", "recipe: my-recipe"))
    synthetic.draw(world / "clips", 1, seed=5, seconds=6.0, size=(96, 64))
    report = build_items(world / "my-recipe.yaml", world / "clips", world / "items", n=1)
    assert report.built == {"short_blur": 1, "jigsaw_of_four": 1}


def test_the_page_s_kind_of_pretext_task_makes_answerable_items(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("my_package")
    module.Dark = defined(block("python", "class Dark"), "Dark")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_package", module)
    ((name, value),) = re.findall(r'^(\w+) = "(my_package:Dark)"', block("toml", "viubench.pretext"), re.M)
    monkeypatch.setitem(plugins.registered(PLUGINS), name, EntryPoint(name, value, PLUGINS))
    clip, drawn = trials.drawn_clip(0), None
    for seed in range(20):
        drawn = generate.draw(PluginSpec(kind=name), seed, [clip])
        if not isinstance(drawn, generate.Rejected):
            break
    assert drawn is not None
    start, stop = drawn.params.drawn["segment"]
    shown = kinds.get(name).show(drawn.params.drawn, seed, [clip])
    assert not shown.pixels[start:stop].any()
    assert np.array_equal(shown.pixels[stop:], clip.pixels[stop:])
    assert float(drawn.answer.split("-")[0]) < float(drawn.answer.split("-")[1])
    kinds.get.cache_clear()
