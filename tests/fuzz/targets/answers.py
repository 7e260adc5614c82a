"""Answers of models: reasoning, reading, score and record of each kind of question.

Example:
    once(b"\\x01From 2 to 4 seconds.")
"""

from __future__ import annotations

from collections.abc import Iterator

from tests import answer_cases, answer_grammar
from viubench.engines.base import Response
from viubench.runner.pipeline import graded
from viubench.runner.plan import Plan
from viubench.schema import ANSWERED, Protocol, Record, Sample, Sampling

import evaluators  # isort: skip

LETTERS = {"letters": ["A", "B", "C", "D"]}
OPTIONS = ("a red ball", "a blue box", "a red cup", "a green hat")

KINDS = {
    "choice": ("choice", "B", OPTIONS, LETTERS),
    "interval": ("temporal_iou", [1.0, 2.5], (), {"times": [0.0, 100.0]}),
    "counts": ("shape_counts", [1, 0, 2], (), {}),
    "order": ("permutation", [3, 1, 2, 4], (), {}),
    "yes": ("choice", "yes", ("yes", "no"), {"letters": ["yes", "no"]}),
}
SAMPLES = [
    Sample(id=kind, task=kind, cluster="v", clips=(), question="<video>\nWhich?", target=target, answer_text="",
           options=options, params=params)
    for kind, (_, target, options, params) in KINDS.items()
]  # fmt: skip
PLAN = Plan(
    SAMPLES,
    {kind: Protocol(protocol="fuzz", sampling=Sampling()) for kind in KINDS},
    {kind: evaluators.get(name) for kind, (name, *_) in KINDS.items()},
)
FINISHES = ("stop", "length", None)
OPENED = ("", "<think>")


def seeds() -> Iterator[bytes]:
    kinds = list(KINDS)
    written = list(answer_cases.cases(answer_cases.WRITTEN))
    made = answer_grammar.generated(seed=0)
    for case in [*written, *(next(made) for _ in range(300))]:
        yield bytes([kinds.index(case["kind"])]) + case["text"].encode()
    yield b"\x00<think>B or C? No.</think>The answer is D.\nQuestion: and now?"


def once(data: bytes) -> None:
    """The first byte says which question, how it ended, and whether the prompt had opened the reasoning."""
    first, text = (data[0] if data else 0), data[1:].decode("utf-8", "replace")
    sample = SAMPLES[first % len(SAMPLES)]
    response = Response(text, FINISHES[first // 8 % 3], prompt_end=OPENED[first // 64 % 2])
    record = graded(sample, response, PLAN, None, {})
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert all(0 <= score <= 1 for score in record.scores.values())
    assert record.status in ANSWERED or not record.scores
    if record.span is not None:
        assert 0 <= record.span[0] <= record.span[1] <= len(record.response or "")
