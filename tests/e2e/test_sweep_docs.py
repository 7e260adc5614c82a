"""docs/sweep.md, run as it stands in a folder that has what it names, with the oracle in the place of its model."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import inprocess
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "sweep.md"
MODEL = ["--model", "Qwen/Qwen3-VL-8B-Instruct"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    inprocess.viubench("clips", "--out", "my_clips", "--n", 4, "--seconds", 8, "--size", "160x96")
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = sorted((shlex.split(line)[1:] for line in lines), key=lambda words: words[0] != "build")
    assert len(commands) == 8
    printed = {}
    for words in commands:
        place = next((k for k in range(len(words)) if words[k : k + 2] == MODEL), None)
        if place is not None:
            words[place : place + 2] = ["--engine", "oracle"]
        done = inprocess.command(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        printed[" ".join(words)] = done.stdout
    assert any("nothing was run" in text for text in printed.values())
    assert any("left out: viubench_count_easy" in text for text in printed.values())
    for folder, runs in {"frames": 3, "grid": 4, "system": 2}.items():
        report = json.loads((tmp_path / "sweeps" / folder / "across.json").read_bytes())
        assert len(report["settings"]) == runs
        assert (tmp_path / "sweeps" / folder / "sweep.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "across.json").read_bytes())["varied"] == ["frames"]
    names = [json.loads((tmp_path / f"runs/{name}/results.json").read_bytes())["model"] for name in "ab"]
    assert names == ["random, first seed", "random, second seed"]
    (python,) = blocks("python")
    assert python.count('"Qwen/Qwen3-VL-8B-Instruct", "items"') == 1
    exec(python.replace('"Qwen/Qwen3-VL-8B-Instruct", "items"', 'None, "items", engine="oracle"'), {})
    assert (tmp_path / "sweeps/python/frames=16/results.json").exists()
