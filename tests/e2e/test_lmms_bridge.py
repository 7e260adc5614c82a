"""Four real lmms-eval tasks on local data through our engines, records and statistics, and lmms-eval's own numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import inprocess
import lmms_datasets
import lmms_listing
import pytest
from lmms_process import LmmsProcess

from viubench.storage.run_dir import read_records, read_results

pytest.importorskip("lmms_eval")
pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("lmms_eval")]

THEIRS = Path(__file__).with_name("lmms_rescore.py")
TASKS = ",".join(f"lmms:{task}" for task in lmms_datasets.TASKS)
CHOICES = ("A", "(B)", "The answer is D.", "", "C. not sure", "drifting right", "I cannot say")
WINDOWS = ("The event happens in the 0 - 3 seconds", "0.5-2.9", "00:01 to 00:04", "", "at 3 s", "From 3 to 5 seconds")


class World:
    """The data of the tasks in a folder, and commands run in it."""

    def __init__(self, folder: Path, lmms: LmmsProcess) -> None:
        self.folder, self.lmms = folder, lmms

    def __call__(self, program: str | Path, *words: object) -> str:
        """What a program prints."""
        own = {"VIUBENCH_CACHE": str(self.folder / "cache")}
        return self.lmms.run(program, *words, cwd=self.folder, env=own).stdout


@pytest.fixture(scope="module")
def world(lmms_data: Path, lmms: LmmsProcess, tiny_model: Path) -> World:
    """`run` by vLLM, and answers of every form, scored in `varied`."""
    world = World(lmms_data, lmms)
    world(
        "viubench", "run", "--engine", "vllm", "--model", tiny_model, "--tasks", TASKS, "--max-errors", 0.1,
        "--quiet", "--max-pixels", 4096, "--frames", 8, "--out", "run",
    )  # fmt: skip
    answers_file(world.folder / "varied.jsonl", varied())
    world("viubench", *score("varied"), "--max-errors", 0, "--quiet")
    return world


def answers_file(path: Path, answers: Mapping[str, str]) -> None:
    path.write_text("".join(json.dumps({"id": one, "response": answer}) + "\n" for one, answer in answers.items()))


def score(name: str) -> tuple[str, ...]:
    return "score", "--tasks", TASKS, "--responses", f"{name}.jsonl", "--out", name


def varied() -> dict[str, str]:
    """Answers of every form to every question."""
    counts = {"videomme": 7, "mvbench_action_antonym": 6, "temporal_grounding_charades": 6, "mlvu_dev": 8}
    return {
        f"lmms:{task}-{number}": forms[number % len(forms)]
        for task, count in counts.items()
        for forms in (WINDOWS if "grounding" in task else CHOICES,)
        for number in range(count)
    }


@pytest.fixture(scope="module")
def theirs(world: World) -> dict[str, dict[str, dict[str, float]]]:
    """lmms-eval's numbers over the responses of runs: run -> task -> metric -> number in its own scale."""
    return dict(json.loads(world(THEIRS, "run", "varied").splitlines()[-1]))


def assert_equal(run: Path, theirs: dict[str, dict[str, float]]) -> None:
    """The task numbers in results.json are lmms-eval's own over the same answers, percent as fractions."""
    results = read_results(run)
    for task in lmms_datasets.TASKS:
        ours = {name: rule.value for name, rule in results.tasks[f"lmms:{task}"].rules.items()}
        assert ours == {f"lmms_eval/{k}": pytest.approx(v / 100, abs=1e-6) for k, v in theirs[task].items()}, task
        assert ours, task


def test_vllm_answers_real_tasks(world: World, theirs: dict[str, dict[str, dict[str, float]]]) -> None:
    records = {record.id: record for record in read_records(world.folder / "run")}
    assert len(records) == 27
    failed = {name for name, record in records.items() if record.status == "media_error"}
    assert failed == {"lmms:temporal_grounding_charades-2", "lmms:temporal_grounding_charades-5"}
    assert {record.error.fault for record in records.values() if record.error} == {"missing"}
    assert all(record.frames and record.response for name, record in records.items() if name not in failed)
    question = records["lmms:mvbench_action_antonym-1"].question
    assert question == (
        "<video>Question:How does shape 1 move?\nOption:\n(A) drifting left\n(B) drifting right\n(C) not sure\n"
        "Only give the best option.\n"
    )
    results = read_results(world.folder / "run")
    assert results.tasks["lmms:videomme"].clusters == lmms_datasets.CLIPS, "clustered by lmms-eval's cluster_key"
    assert results.tasks["lmms:videomme"].chance is None, "no random rule is published"
    assert_equal(world.folder / "run", theirs["run"])


def test_another_process_makes_the_same_items_and_scores_the_same_answers_alike(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's own process, which has another hash seed and has imported lmms-eval by itself."""
    ran = world.folder / "run"
    answers_file(world.folder / "said.jsonl", {r.id: r.response for r in read_records(ran) if r.response})
    for name, value in lmms_datasets.environment(world.folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(world.folder / "said-datasets"))
    monkeypatch.chdir(world.folder)
    lmms_listing.keep(monkeypatch.setattr)
    inprocess.viubench(*score("said"), "--max-errors", 1)
    again = read_results(world.folder / "said")
    for task, result in read_results(ran).tasks.items():
        assert (again.tasks[task].items_hash, again.tasks[task].value) == (result.items_hash, result.value)


def test_varied_answers_score_as_in_lmms_eval(world: World, theirs: dict[str, dict[str, dict[str, float]]]) -> None:
    results = read_results(world.folder / "varied")
    assert all(0 < results.tasks[f"lmms:{task}"].value < 1 for task in lmms_datasets.TASKS), "both sides of the scale"
    assert_equal(world.folder / "varied", theirs["varied"])
    for task in ("videomme", "temporal_grounding_charades"):  # means over the samples, so ours must be theirs
        result = results.tasks[f"lmms:{task}"]
        assert result.value == pytest.approx(result.rules[f"lmms_eval/{result.metric}"].value, abs=1e-6)
