"""A checkpoint with code of its own, of a kind that transformers has no processor for: vLLM's own processor is used."""

from __future__ import annotations

import json
from pathlib import Path

import inprocess
import internvl_chat
import pytest

pytestmark = pytest.mark.engine


def test_internvl_s_own_format_is_asked_through_vllm(clips: Path, tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    model, questions = tmp_path / "internvl-chat", tmp_path / "questions.csv"
    internvl_chat.write(model)
    names = [path.name for path in sorted(clips.glob("*.mp4"))]
    lines = [f"{name},What moves?,a circle,a square,A" for name in names]
    questions.write_text("\n".join(["video,question,option_a,option_b,answer", *lines]))
    given = ("run", "--engine", "vllm", "--model", model, "--tasks", questions, "--videos", clips, "--frames", 4,
             "--max-tokens", 8, "--quiet")  # fmt: skip
    refused = inprocess.command(*given, "--out", tmp_path / "refused")
    assert refused.returncode == 2
    assert "code of its own" in refused.stderr
    trust = ("--engine-arg", "trust_remote_code=true", "--engine-arg", "dtype=float32")
    done = inprocess.command(*given, *trust, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    assert [record["error"] for record in records] == [None] * len(names)
    wanted = {"kind": "video", "tokens": 4 * internvl_chat.TOKENS, "height": internvl_chat.SIDE}
    assert all(wanted.items() <= record["shown"].items() for record in records)
    assert len({record["response"] for record in records}) > 1
