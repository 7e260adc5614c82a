"""The configuration's choice of what samples the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainer.config import TrainConfig, load
from viubench.errors import ViubenchError

LEAST: dict[str, Any] = {"run_name": "t", "tasks": {"a": {}}, "max_steps": 10}


def test_the_policy_answers_unless_vllm_is_asked_for() -> None:
    plain = TrainConfig.model_validate(LEAST)
    chosen = TrainConfig.model_validate(LEAST | {"rollout": {"engine": "vllm", "engine_args": {"max_model_len": 99}}})
    assert plain.rollout.engine == "policy"
    assert chosen.rollout.engine_args == {"max_model_len": 99}
    assert plain.hash() != chosen.hash(), "it decides which answers are sampled"


@pytest.mark.parametrize(
    ("block", "message", "place", "hint"),
    [
        ("rollout: {engin: vllm}", "unknown key 'rollout.engin'", ":4:11", "'engine'"),
        ("rollout: {engine: sglang}", "rollout.engine: ", ":4:11", None),
        ("rollout: {engine_args: {max_model_len: 9}}", "rollout.engine_args are vLLM's", ":1:1", None),
        ("rollout: {engine: vllm}\ntemperature: 3", "vLLM samples at 0.01 to 2", ":1:1", None),
        ("rollout: {engine: vllm}\ntemperature: 0.001", "vLLM samples at 0.01 to 2", ":1:1", None),
    ],
)
def test_a_mistake_is_told_with_its_place(
    block: str, message: str, place: str, hint: str | None, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(f"run_name: t\nmax_steps: 3\ntasks: {{a: {{}}}}\n{block}\n")
    with pytest.raises(ViubenchError) as caught:
        load(tmp_path / "c.yaml")
    assert message in caught.value.message
    assert (caught.value.where or "").endswith(f"c.yaml{place}")
    assert hint is None or hint in (caught.value.hint or "")
