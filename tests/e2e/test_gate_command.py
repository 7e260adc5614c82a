"""`viubench gate` as a CI job calls it: run folders of the baselines in, exit code, table, summary and JSON out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import inprocess
import pytest
from junit_schema import outcomes, valid

from viubench.storage.run_dir import read_results

Runs = dict[str, Path]


@pytest.fixture(autouse=True)
def no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may run in a workflow of GitHub; the gates they call do not."""
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)


def gate(baseline: Path, candidate: Path, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    return inprocess.command("gate", "--baseline", baseline, "--candidate", candidate, *arguments, env=env)


@pytest.fixture(scope="module")
def runs(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The same items answered by the baselines, by random with another seed, fewer of them, and seen smaller."""
    folder = tmp_path_factory.mktemp("gate")
    cache = ("--frame-cache", folder / "cache")
    recipe = folder / "recipe.yaml"
    names = ("viubench_ground_mirror", "viubench_count_easy")
    lines = [f"  - {{task: {name}, n: 24}}" for name in names]
    recipe.write_text("recipe: tiny\nsampling: {kind: even, frames: 48, middle: 0.9}\nitems:\n" + "\n".join(lines))
    items = folder / "items"
    inprocess.viubench("build", "--recipe", recipe, "--videos", clips, "--out", items, *cache)
    made: Runs = {}
    for name, arguments in {
        "random": ("--engine", "random"),
        "other": ("--engine", "random", "--seed", "1"),
        "blind": ("--engine", "blind"),
        "oracle": ("--engine", "oracle"),
        "fewer": ("--engine", "oracle", "--limit", "20"),
        "smaller": ("--engine", "oracle", "--max-pixels", "40000"),
    }.items():
        made[name] = folder / name
        inprocess.viubench("run", *arguments, "--tasks", items, "--out", made[name], *cache)
    made["copy"] = shutil.copytree(made["blind"], folder / "copy")
    return made


def test_worse_is_1_and_the_numbers_are_those_of_the_runs(runs: Runs, tmp_path: Path) -> None:
    out, junit = tmp_path / "gate.json", tmp_path / "junit.xml"
    done = gate(runs["oracle"], runs["blind"], "--out", out, "--junit", junit)
    assert done.returncode == 1, done.stderr
    assert set(outcomes(valid(junit.read_bytes())).values()) == {"failure"}
    assert done.stderr == ""
    report = json.loads(out.read_text())
    assert (report["schema"], report["verdict"], report["exit_code"]) == (1, "regress", 1)
    oracle, blind = read_results(runs["oracle"]), read_results(runs["blind"])
    for task, found in report["tasks"].items():
        assert found["verdict"] == "regress"
        assert found["evidence"]["baseline"] == oracle.tasks[task].value
        assert found["evidence"]["candidate"] == blind.tasks[task].value
        assert found["evidence"]["n"] == 24
        assert f"{task}: regress, a loss of" in done.stdout
    again = tmp_path / "again.json"
    words = ["gate", "--baseline", runs["oracle"], "--candidate", runs["blind"], "--out", again]
    environment = dict(os.environ)  # not the C library's: readline, which pytest imports, writes COLUMNS there
    process = subprocess.run(
        [sys.executable, "-m", "viubench", *words], capture_output=True, text=True, timeout=300, env=environment
    )
    assert (process.returncode, process.stdout, process.stderr) == (1, done.stdout, "")
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"), [("blind", "oracle", "improve"), ("blind", "copy", "pass")]
)
def test_better_or_the_same_is_0(runs: Runs, tmp_path: Path, baseline: str, candidate: str, verdict: str) -> None:
    junit, summary = tmp_path / "junit.xml", tmp_path / "gate.md"
    done = gate(runs[baseline], runs[candidate], "--junit", junit, "--summary", summary)
    assert done.returncode == 0, done.stderr
    assert set(outcomes(valid(junit.read_bytes())).values()) == {"passed"}
    assert summary.read_text().startswith(f"### viubench gate: {verdict}\n")
    assert done.stdout.startswith(f"{verdict}: {candidate.replace('copy', 'blind')} (")


def test_too_few_items_to_tell_is_3(runs: Runs, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    done = gate(runs["random"], runs["other"], "--junit", junit, "--annotations")
    assert done.returncode == 3, done.stdout
    assert "failure" in outcomes(valid(junit.read_bytes())).values()
    assert "\n::error title=viubench gate%3A viubench_" in done.stdout
    assert "inconclusive" in done.stdout
    assert "is not ruled out" in done.stdout or "chance may explain" in done.stdout


def test_not_comparable_is_4_and_says_why(runs: Runs, tmp_path: Path) -> None:
    for candidate, said in (("fewer", "has other items"), ("smaller", "two protocols")):
        summary, junit = tmp_path / f"{candidate}.md", tmp_path / f"{candidate}.xml"
        done = gate(runs["oracle"], runs[candidate], "--summary", summary, "--junit", junit)
        assert done.returncode == 4
        assert set(outcomes(valid(junit.read_bytes())).values()) == {"error"}
        assert done.stderr.count("viubench: not comparable: 'viubench_") == 2
        assert said in done.stderr
        assert said in summary.read_text()
        assert "Traceback" not in done.stderr
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    for name in ("manifest.json", "records.jsonl"):
        (unfinished / name).write_bytes((runs["oracle"] / name).read_bytes())
    done = gate(runs["oracle"], unfinished)
    assert done.returncode == 4
    assert f"{unfinished} is not finished" in done.stderr


def test_usage_is_2(runs: Runs, tmp_path: Path) -> None:
    config = tmp_path / "gate.yaml"
    for content, said in (("alpha: 3\n", f"{config}:1:1"), ("margins: {viubench_count_esy: 0.1}", "did you mean")):
        config.write_text(content)
        done = gate(runs["oracle"], runs["blind"], "--config", config)
        assert done.returncode == 2
        assert said in done.stderr
    assert gate(runs["oracle"], tmp_path).returncode == 2
    assert inprocess.command("gate", "--baseline", runs["oracle"]).returncode == 2
    assert gate(runs["oracle"], runs["blind"], "--out", tmp_path / "no" / "such" / "gate.json").returncode == 2


def test_a_run_is_no_second_one(runs: Runs, tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(runs["blind"])
    for words in (
        ("gate", "--baseline", runs["blind"], "--candidate", link),
        ("gate", "--candidate", runs["blind"], "--candidate", link, "--floor", "viubench_count_easy=0.1"),
        ("gate", "--candidate", runs["blind"], "--baseline", link, "--floor", "viubench_count_easy=0.1"),
        ("gate", "plan", "--floor", "viubench_count_easy=0.1", "--baseline", runs["blind"], "--baseline", link),
        ("compare", runs["blind"], link),
        ("compare", "--across", runs["blind"], link),
    ):
        done = inprocess.command(*words)
        assert (done.returncode, "is given twice" in done.stderr) == (2, True), words
    done = inprocess.command("report", runs["blind"], runs["oracle"], link, "--out", tmp_path / "page.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.csv").read_text().count("\nblind,") == 1


def test_the_configuration_decides(runs: Runs, tmp_path: Path) -> None:
    config = tmp_path / "gate.yaml"
    config.write_text("informational: [viubench_count_easy, viubench_ground_mirror]\n")
    done = gate(runs["oracle"], runs["blind"], "--config", config)
    assert (done.returncode, done.stdout.count("regress (informational)")) == (0, 2)
    config.write_text("margins: {default: 0.99}\n")
    assert gate(runs["oracle"], runs["blind"], "--config", config).returncode == 0


def test_the_summary_goes_to_its_file_and_is_added_to_the_workflows(runs: Runs, tmp_path: Path) -> None:
    summary, step = tmp_path / "summary.md", tmp_path / "step.md"
    summary.write_text("an older summary\n")
    step.write_text("what another step wrote\n")
    workflow = {"GITHUB_STEP_SUMMARY": str(step), "GITHUB_ACTIONS": "true"}
    done = gate(runs["oracle"], runs["blind"], "--summary", summary, "--report-only", **workflow)
    assert done.returncode == 0
    assert done.stdout.count("\n::warning title=viubench gate%3A viubench_") == 2
    assert "the exit code is 0: this is a report only" in step.read_text()
    assert summary.read_text().startswith("### viubench gate: regress\n")
    assert step.read_text() == "what another step wrote\n" + summary.read_text()
