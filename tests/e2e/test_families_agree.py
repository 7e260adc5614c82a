"""A run on transformers and the same run on vLLM, from files to records: equal prompts, sizes, times and answers.

All families, and a server: `python -m tests.bench families`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import families
from tests.bench.families import FamilyRow
from viubench.engines import tiny_checkpoints

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    families.draw(folder, scale=2)
    return folder


@pytest.mark.parametrize(
    ("family", "kind", "times"),
    [("internvl", "video", "prompt"), ("qwen2_5_vl", "video", "positions"), ("gemma3", "images", "prompt")],
)
def test_a_run_is_the_same_on_both_engines(family: str, kind: str, times: str, data: Path, tmp_path: Path) -> None:
    tiny_checkpoints.write(tmp_path / family, family=family)
    hf, vllm = (_answered(families.answer(tmp_path / family, engine, data)) for engine in ("hf", "vllm"))
    assert {(one.shown["kind"], one.shown["times"]) for one in hf.answers.values()} == {(kind, times)}
    assert hf.answers["wide"].response != hf.answers["other"].response, "only what is seen differs"
    assert vllm.answers == hf.answers


def _answered(row: FamilyRow) -> FamilyRow:
    assert row.error == ""
    assert row.answers.keys() == families.CLIPS.keys()
    assert [(clip, one.detail) for clip, one in row.answers.items() if one.detail] == []
    return row
