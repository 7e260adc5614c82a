"""What a run would refuse is refused before anything is built or loaded, by a dry run too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import viubench
from viubench.engines import processors
from viubench.engines.vllm import process

from test_costs import data as data  # isort: skip

HF, VLLM, SERVER = {"engine": "hf"}, {"engine": "vllm"}, {"engine": "server", "base_url": "http://127.0.0.1:9"}


@pytest.fixture
def options(data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a run on the tiny model that must not get as far as its weights, or vLLM's import."""
    monkeypatch.setattr(process, "argument_types", lambda: {"dtype": str, "max_model_len": int})

    def loaded(*_: Any, **__: Any) -> Any:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(processors, "open_model", loaded)
    return {"model": tiny_model, "tasks": data / "colours.yaml", "data_root": data / "data", "out": tmp_path / "r"}


@pytest.mark.parametrize("does", [viubench.dry_run, viubench.evaluate])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (HF | {"engine_args": {"dtpe": "float32"}}, "the hf engine has no argument 'dtpe'"),
        (VLLM | {"engine_args": {"max_model_length": 4096}}, "the vllm engine has no argument 'max_model_length'"),
        (VLLM | {"engine_args": {"max_in_flight": "many"}}, "max_in_flight=many is not a whole number"),
        (SERVER | {"engine_args": {"timeot": 3}}, "the server engine has no argument 'timeot'"),
        (SERVER | {"engine_args": {"timeout": 0}}, "timeout=0"),
        ({"engine": "server"}, "the server engine needs an endpoint"),
        (HF | {"set": {"chat.reasoning_budget": 64}}, "the hf engine has no reasoning budget"),
        (HF | {"set": {"chat.reasoning_parser": "qwen3"}}, "the hf engine has no reasoning parser"),
    ],
)
def test_what_an_engine_cannot_take_is_told_first(does: Any, more: Any, said: str, options: dict[str, Any]) -> None:
    with pytest.raises(viubench.ViubenchError, match=said):
        does(**options | more)
    assert not (options["out"] / "records.jsonl").exists()


@pytest.mark.parametrize("does", [viubench.dry_run, viubench.evaluate])
@pytest.mark.parametrize(("kind", "library"), [("vllm", "vllm"), ("hf", "transformers"), ("hf", "torch")])
def test_a_missing_library_is_told_before_the_run_folder_is_made(
    does: Any, kind: str, library: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(viubench.ViubenchError, match=f"the {kind} engine needs {library}, which is not installed"):
        does(**options, engine=kind)
    assert not options["out"].exists()


def test_a_dry_run_with_arguments_that_fit_is_a_forecast(options: dict[str, Any]) -> None:
    for more in (HF | {"engine_args": {"dtype": "float32"}}, VLLM | {"engine_args": {"dtype": "float32"}}, SERVER):
        assert len(viubench.dry_run(**options | more).plan.samples) == 5
