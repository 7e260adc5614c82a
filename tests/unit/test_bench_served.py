"""Sides of a contest that ask vLLM's server: the same clips, frames and pixels, and the clock around the questions."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.bench import bench_serve, evalscope_side, served, vision
from tests.bench.contestant import Work
from tests.bench.served import Server
from viubench.errors import ViubenchError

WORK = Work("bench_serve", "m", ("/clips/a.mp4", "/clips/b c.mp4"), "/clips/w.mp4", ("first?",), 32, 65536, 16, 2)

FAKE = """
import json
from pathlib import Path
from types import SimpleNamespace

class TaskConfig(SimpleNamespace):
    pass

class DefaultEvaluator:
    def _run_pool(self, samples):
        print("evalscope talks")
        return [f"{len(sample['messages'][0]['content'])} parts" for sample in samples]

def run_task(config):
    data = Path(config.dataset_args["general_vqa"]["local_path"]) / "test.jsonl"
    samples = [json.loads(line) for line in data.read_text().splitlines()]
    if len(samples) == 3:
        raise ValueError("three are too many")
    texts = DefaultEvaluator()._run_pool(samples)
    out = Path(config.work_dir) / "predictions" / config.model
    out.mkdir(parents=True)
    answers = [
        {"index": k, "model_output": {"choices": [{"message": {"content": f"{k}: {text}, {config.eval_batch_size}"}}]}}
        for k, text in enumerate(texts)
    ]
    lines = [json.dumps(answer) for answer in reversed(answers)]
    (out / "general_vqa_test.jsonl").write_text("\\n".join(lines))
"""


def test_the_server_has_the_frames_and_pixels_of_every_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "engine_settings", lambda: {"max_model_len": 32768, "enforce_eager": True})
    options = served.options(WORK)
    assert options["media_io_kwargs"] == {"video": {"min_frames": 32, "max_frames": 32}}
    assert options["mm_processor_kwargs"]["size"]["longest_edge"] == 32 * 65536
    words = served.flags(options)
    assert words[:3] == ["--max-model-len", "32768", "--enforce-eager"]
    assert json.loads(words[words.index("--limit-mm-per-prompt") + 1]) == {"video": 1}
    assert words[words.index("--allowed-local-media-path") + 1] == "/clips"


def test_a_clip_stands_before_its_question() -> None:
    (message,) = served.messages("/clips/b c.mp4", "first?")
    video, text = message["content"]
    assert video["video_url"] == {"url": "file:///clips/b%20c.mp4"}
    assert text["text"] == "first?"


def test_counts_of_another_process_are_taken_as_they_come(tmp_path: Path) -> None:
    server = Server("http://127.0.0.1:1/v1", tmp_path / "vision.txt")
    assert server.vision() == []
    counts = vision.Written(frozenset({7}), path=server.counts)
    counts.add("a", [1, 7, 7])
    counts.add("a", [1, 7, 7, 7])  # a later output of the same request
    counts.add("b", [7])
    counts.add("c", None)
    assert server.vision() == [1, 2]
    counts.add("d", [1])
    assert server.vision() == [0]


def test_a_server_that_ends_at_once_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "options", lambda _: {})
    monkeypatch.setattr(served, "flags", lambda _: [])
    monkeypatch.setattr(served.sys, "executable", "/bin/false")
    with pytest.raises(ViubenchError, match="did not come up"), served.serving(WORK, tmp_path):
        pass


def vllm_serve(monkeypatch: pytest.MonkeyPatch, failed: int) -> list[dict[str, Any]]:
    """A `vllm.benchmarks.serve` in the place of the real one; what it was told comes back."""
    told: list[dict[str, Any]] = []
    serve = ModuleType("vllm.benchmarks.serve")

    async def benchmark(**how: Any) -> dict[str, Any]:
        vision.SEEN.add("not of this side", [1])
        errors = [""] * len(how["prompts"])
        return {"failed": failed, "generated_texts": ["yes"] * len(errors), "errors": [*errors[1:], "refused"]}

    def main(args: Namespace) -> Any:
        words = args.words
        data = Path(words[words.index("--dataset-path") + 1])
        prompts = [json.loads(line)["prompt"] for line in data.read_text().splitlines()]
        told.append({"words": words, "prompts": prompts})
        return asyncio.run(serve.benchmark(prompts=prompts))

    serve.__dict__.update(benchmark=benchmark, main=main, add_cli_args=lambda _: None)
    utils = ModuleType("vllm.utils.argparse_utils")
    utils.__dict__["FlexibleArgumentParser"] = lambda: SimpleNamespace(parse_args=lambda words: Namespace(words=words))
    benchmarks = ModuleType("vllm.benchmarks")
    benchmarks.__dict__["serve"] = serve
    fakes = {"vllm": ModuleType("vllm"), "vllm.benchmarks": benchmarks, "vllm.utils": ModuleType("vllm.utils")}
    for name, module in (fakes | {"vllm.benchmarks.serve": serve, "vllm.utils.argparse_utils": utils}).items():
        monkeypatch.setitem(sys.modules, name, module)
    return told


def test_vllms_benchmark_asks_the_same_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = vllm_serve(monkeypatch, failed=0)
    server = Server("http://127.0.0.1:1/v1", tmp_path / "vision.txt")
    bench_serve._write(tmp_path / "questions.jsonl", WORK.asked())
    server.counts.write_text("1024\n1000\n")
    one = bench_serve._asked("cold", tmp_path / "questions.jsonl", server, WORK.tokens)
    assert (one.name, one.answers, one.vision) == ("cold", ["yes", "yes"], [1000, 1024])
    assert told[0]["prompts"] == [served.messages(clip, "first?") for clip in WORK.clips]
    words = told[0]["words"]
    assert words[words.index("--base-url") + 1] == "http://127.0.0.1:1"
    assert json.loads(words[words.index("--extra-body") + 1]) == {"max_completion_tokens": 16}


def test_a_question_that_failed_ends_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vllm_serve(monkeypatch, failed=1)
    bench_serve._write(tmp_path / "questions.jsonl", WORK.asked())
    with pytest.raises(ViubenchError, match="1 questions failed: refused"):
        bench_serve._asked("cold", tmp_path / "questions.jsonl", Server("x", tmp_path / "none"), 16)


@pytest.fixture
def fake_python(tmp_path: Path) -> str:
    """A Python with an evalscope that asks nobody."""
    package = tmp_path / "packages" / "evalscope"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE)
    (package / "evaluator.py").write_text("from evalscope import DefaultEvaluator\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nPYTHONPATH="{package.parent}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_evalscope_is_asked_in_its_own_python(tmp_path: Path, fake_python: str) -> None:
    server = Server("http://127.0.0.1:1/v1", tmp_path / "vision.txt")
    evalscope_side._write(tmp_path / "questions", WORK.asked())
    with evalscope_side.Client(fake_python, tmp_path / "client.log") as client:
        for name in ("cold", "warm"):
            one = client.asked(name, tmp_path / "questions", server, 16)
            assert (one.name, one.answers) == (name, ["0: 2 parts, 16", "1: 2 parts, 16"])
    assert client.process.returncode is not None


def test_what_evalscope_fails_with_is_told(tmp_path: Path, fake_python: str) -> None:
    server = Server("http://127.0.0.1:1/v1", tmp_path / "vision.txt")
    evalscope_side._write(tmp_path / "questions", [("/clips/a.mp4", "first?")] * 3)
    client = evalscope_side.Client(fake_python, tmp_path / "client.log")
    with client, pytest.raises(ViubenchError, match="three are too many"):
        client.asked("cold", tmp_path / "questions", server, 16)
    with pytest.raises(ViubenchError, match="no Python runs"), evalscope_side.Client("/none", tmp_path / "log"):
        pass


@pytest.mark.skipif(importlib.util.find_spec("evalscope") is not None, reason="evalscope is installed")
def test_a_python_without_evalscope_is_told(tmp_path: Path) -> None:
    client = evalscope_side.Client(sys.executable, tmp_path / "client.log")
    with pytest.raises(ViubenchError, match="No module named 'evalscope'"), client:
        pass
