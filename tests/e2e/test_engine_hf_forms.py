"""Constrained answers and the likeliest option, by transformers on the tiny checkpoint."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import inprocess
import pytest
from engine_requests import request, video

from evaluators import Constraint, Question, get
from viubench.engines.base import Request
from viubench.engines.hf import HfEngine
from viubench.schema import Decoding
from viubench.storage.run_dir import read_records

pytestmark = pytest.mark.engine

TASK = """
task: seen
description: "Yes or no."
domain: general
rows: {files: [test.jsonl], expected: 4}
video: {path: "videos/{{ video }}"}
question: "{{ question }}"
options: "{{ ['Yes', 'No'] }}"
answer: "{{ ['Yes', 'No'][answer] }}"
evaluator: {name: choice}
metric: accuracy
protocol: fps2-32
metadata: {version: 1, source: "drawn", license: "CC0-1.0"}
"""

LETTERS = Constraint(choices=("A", "B", "C"))
NESTED = Constraint(choices=("1", "10", "yes"))


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> HfEngine:
    opened = HfEngine(str(tiny_model), {"device": "cpu"})
    asyncio.run(opened.start())
    return opened


def held(constraint: Constraint, seed: int = 0, answers: Any = "constrained", **more: Any) -> Request:
    asked = request("<video>\nWhich?", video(seed, 4, 64, 64), max_tokens=64)
    return replace(asked, answers=answers, constraint=constraint, seed=seed, **more)


@pytest.mark.parametrize(
    ("name", "target"),
    [("choice", "B"), ("permutation", [3, 4, 1, 5, 6, 2]), ("shape_counts", [3, 1, 4]), ("temporal_iou", [1.0, 2.0])],
)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_answer_has_its_form_and_ends_with_it(engine: HfEngine, name: str, target: Any, temperature: float) -> None:
    evaluator, item = get(name), Question(target)
    constraint = evaluator.constraint(item)
    assert constraint is not None
    decoding = Decoding(max_tokens=64, temperature=temperature)
    answer = asyncio.run(engine.generate(held(constraint, 7, decoding=decoding)))
    assert answer.finish_reason == "stop"
    read = evaluator.parse(answer.text, item)
    if name == "temporal_iou":
        start, end = map(float, answer.text.split("-"))
        assert (read.value if read else None) == ([start, end] if start <= end else None)
    else:
        assert read is not None
        assert evaluator.canonical(read.value) == answer.text


@pytest.mark.parametrize("constraint", [LETTERS, NESTED], ids=["letters", "nested"])
def test_the_likeliest_option_is_that_of_one_pass_over_prompt_and_option(
    engine: HfEngine, constraint: Constraint
) -> None:
    """Prompt and option read in one piece, without `generate`."""
    import torch

    asked = held(constraint, answers="likelihood")
    answer = asyncio.run(engine.generate(asked))
    tokenizer = engine._processor.tokenizer
    inputs = engine.encode(asked)
    start = inputs["input_ids"].shape[1]
    nested = constraint is NESTED
    expected = {}
    for option in constraint.choices:
        tokens = tokenizer.encode(option) + [tokenizer.eos_token_id] * nested
        whole = {**inputs, "input_ids": torch.cat([inputs["input_ids"], torch.tensor([tokens])], 1)}
        for name in ("attention_mask", "mm_token_type_ids"):
            fill = torch.full((1, len(tokens)), int(name == "attention_mask"))
            whole[name] = torch.cat([inputs[name], fill], 1)
        with torch.inference_mode():
            rows = engine._model(**whole).logits[0].log_softmax(-1)
        expected[option] = sum(float(rows[start - 1 + k, token]) for k, token in enumerate(tokens))
        assert answer.option_logprobs[option].tokens == len(tokens)
    assert {option: known.logprob for option, known in answer.option_logprobs.items()} == pytest.approx(
        expected, abs=1e-4
    )
    assert answer.text == max(expected, key=lambda option: expected[option])
    assert answer.finish_reason == "stop"


def test_runs_with_answers_of_a_form_need_no_reading_and_compare_with_no_free_ones(
    tiny_model: Path, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "seen.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "data/seen").mkdir(parents=True)
    rows = [
        {"video": clip.name, "question": f"Is {n} seen?", "answer": n % 2} for n, clip in enumerate(clips.iterdir())
    ]
    (tmp_path / "data/seen/test.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    shutil.copytree(clips, tmp_path / "data/seen/videos")
    where = ["--include-path", tmp_path, "--data-root", tmp_path / "data", "--tasks", "seen", "--frames", 4, "--quiet"]
    for name, options in {
        "free": ["--protocol", "fps2-32"],
        "constrained": ["--protocol", "constrained"],
        "likelihood": ["--protocol", "fps2-32", "--set", "answers=likelihood"],
    }.items():
        engine = ["--engine", "hf", "--model", tiny_model, "--engine-arg", "device=cpu", "--max-tokens", 12]
        done = inprocess.command("run", *engine, *where, *options, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        records = list(read_records(tmp_path / name))
        assert len(records) == 4
        if name != "free":
            assert {(record.status, record.response in ("yes", "no")) for record in records} == {("ok", True)}
            assert {tuple(record.option_logprobs) for record in records} == {
                ("yes", "no") if name == "likelihood" else ()
            }
            refused = inprocess.command("compare", tmp_path / "free", tmp_path / name)
            assert refused.returncode != 0
            assert "differ in answers" in refused.stderr
