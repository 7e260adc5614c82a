"""Choosing an engine: what a user can get wrong is said in one sentence, and nothing heavy is imported."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from viubench.engines import engine_args, make
from viubench.engines.base import Needs
from viubench.engines.vllm import VllmEngine
from viubench.engines.vllm.process import BATCH_INVARIANT, batch_invariant, printed_reason, prompt_error, start_error
from viubench.engines.vllm.settings import default_settings
from viubench.errors import EngineError, ViubenchError


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    config = {"model_type": "qwen3_vl", "vision_config": {"patch_size": 16, "spatial_merge_size": 2}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "processor_config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return str(tmp_path)


def refusal(kind: str, model: str | None = None, urls: tuple[str, ...] = (), **args: str) -> str:
    with pytest.raises(ViubenchError) as raised:
        make(kind, model=model, base_urls=urls, args=args)
    return f"{raised.value.message} | {raised.value.hint}"


def test_an_unknown_kind_gets_the_near_one() -> None:
    assert refusal("vlm") == "no such engine: vlm | did you mean vllm?"


def test_models_and_urls_must_fit_the_kind(checkpoint: str) -> None:
    assert "needs a model" in refusal("vllm")
    assert "needs a model" in refusal("hf")
    assert "needs an endpoint" in refusal("server")
    assert "--base-url is for" in refusal("hf", checkpoint, ("http://127.0.0.1:1/v1",))
    assert "not a URL" in refusal("server", None, ("127.0.0.1:8000",))


@pytest.mark.parametrize("kind", ["random", "blind", "oracle", "pixels"])
def test_a_baseline_has_no_model_and_no_arguments(kind: str) -> None:
    assert "no argument 'device' | known: none" in refusal(kind, device="cpu")
    assert f"the {kind} engine has no model | leave --model out; --probe blind" in refusal(kind, "Qwen/Qwen3-VL")


def test_unknown_arguments_get_the_near_name(checkpoint: str) -> None:
    assert "did you mean device?" in refusal("hf", checkpoint, devise="cpu")
    assert "did you mean transport?" in refusal("server", None, ("http://x",), transprot="video")
    assert "none of auto, video, images" in refusal("server", None, ("http://x",), transport="carrier")
    assert "not a whole number" in refusal("server", None, ("http://x",), retries="many")


def test_engines_know_the_frame_size_before_they_start(checkpoint: str) -> None:
    for kind in ("vllm", "hf"):
        assert make(kind, model=checkpoint, base_urls=(), args={}).frame_format.multiple == 32


def test_in_flight_is_an_argument_of_ours(checkpoint: str) -> None:
    engine = VllmEngine(checkpoint, {"max_in_flight": "3", "seed": "1"})
    engine.expect(Needs(answer=32768))
    assert (engine.max_in_flight, engine.args) == (3, {"seed": "1"})
    with pytest.raises(ViubenchError, match="max_in_flight is 0"):
        VllmEngine(checkpoint, {"max_in_flight": "0"})
    plain = VllmEngine(checkpoint, {})
    for answer, at_once in ((16, 16), (1024, 64), (32768, 128)):
        plain.expect(Needs(answer=answer))
        assert plain.max_in_flight == at_once


def test_json_where_it_is_json() -> None:
    values = {"4": 4, "0.5": 0.5, "true": True, "False": False, '{"video": 2}': {"video": 2}, "auto": "auto"}
    assert {text: engine_args.as_json(text) for text in values} == values


def test_defaults_differ_by_device() -> None:
    on_cpu = default_settings({"model_type": "qwen3_vl", "context": 262144, "cache_values": 256}, on_cpu=True)
    on_gpu = default_settings({"model_type": "qwen3_vl", "context": 8192}, on_cpu=False)
    assert "mm_encoder_tp_mode" not in on_gpu
    assert default_settings({"model_type": "qwen3_vl"}, on_cpu=False, ranks=4)["mm_encoder_tp_mode"] == "data"
    assert (on_cpu["max_model_len"], on_gpu["max_model_len"]) == (32768, 8192)
    assert (on_cpu["dtype"], on_gpu["dtype"]) == ("float32", "auto")
    assert on_cpu["kv_cache_memory_bytes"] == 2**28
    assert "enforce_eager" not in on_gpu


def test_a_failed_start_says_the_reason_the_core_printed() -> None:
    log = (
        "(EngineCore pid=7) ERROR 11-23 [core.py:1] Traceback (most recent call last):\n"
        '(EngineCore pid=7) ERROR 11-23 [core.py:1]   File "x.py", line 1, in y\n'
        "(EngineCore pid=7) ERROR 11-23 [core.py:1] torch.OutOfMemoryError: tried to allocate 9 GiB\n"
    )
    error = start_error(
        RuntimeError("Engine core initialization failed. See root cause above."), printed_reason(log), "m"
    )
    assert error.message == "vLLM could not open the model: torch.OutOfMemoryError: tried to allocate 9 GiB"
    log += "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n"
    assert printed_reason(log) == "torch.OutOfMemoryError: tried to allocate 9 GiB"
    log = "  File x, line 3, in y\n    assert sum(sections) == 24\n           ^^^^^^^^^\nAssertionError\n"
    assert printed_reason(log) == "AssertionError at `assert sum(sections) == 24`"
    assert (
        "initialization failed" in start_error(RuntimeError("initialization failed"), printed_reason(""), "m").message
    )


@pytest.mark.parametrize(
    "said",
    [
        "'XProcessor' object has no attribute '_get_num_multimodal_tokens'",
        "There is no module or parameter named 'model.tower.wqkv' in TransformersMultiModalMoEForCausalLM. The ...",
        "There is no module or parameter named 'model.tower.wqkv' in TransformersForCausalLM.",
    ],
)
def test_an_architecture_that_vllm_has_no_code_for_is_named_as_such(said: str) -> None:
    error = start_error(AttributeError(said), None, "m")
    assert (error.message[:23], error.hint) == ("vLLM has no code for th", "use --engine hf")


def test_a_processor_that_cannot_leave_frames_alone_ends_the_run() -> None:
    every = prompt_error(TypeError("Unexpected keyword argument do_resize."), "m")
    assert isinstance(every, ViubenchError)
    assert "takes no do_resize" in every.message
    assert isinstance(prompt_error(ValueError("the prompt is too long"), "m"), EngineError)


def test_a_setting_that_vllm_misses_in_the_configuration_is_named() -> None:
    error = start_error(AttributeError("'XTextConfig' object has no attribute 'use_qk_norm'"), None, "m")
    assert "needs 'use_qk_norm', which config.json does not say" in error.message
    assert "copy config.json" in error.hint


def test_importing_the_engines_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom viubench.engines import hf, server, tiny_checkpoints, vllm\n"
        "print(sorted({'torch', 'vllm', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_deterministic_is_promised_only_where_it_can_be_kept(checkpoint: str) -> None:
    for kind in ("vllm", "hf"):
        assert make(kind, model=checkpoint, base_urls=(), args={}, deterministic=True).deterministic
        assert not make(kind, model=checkpoint, base_urls=(), args={}).deterministic
    with pytest.raises(ViubenchError, match="determinism cannot be promised"):
        make("server", model=None, base_urls=("http://x",), args={}, deterministic=True)
    with pytest.raises(ViubenchError, match="--deterministic settles max_num_seqs"):
        VllmEngine(checkpoint, {"max_num_seqs": "4"}, deterministic=True)


@pytest.mark.parametrize("knows", [True, False])
def test_batch_invariance_is_asked_of_a_vllm_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    package = tmp_path / "looks_like_vllm"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "envs.py").write_text(f"environment_variables = {{'{BATCH_INVARIANT if knows else 'OTHER'}': None}}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(BATCH_INVARIANT, "0")
    monkeypatch.delitem(sys.modules, "looks_like_vllm.envs", raising=False)
    monkeypatch.delitem(sys.modules, "looks_like_vllm", raising=False)
    assert batch_invariant(importlib.import_module("looks_like_vllm")) is knows
    assert os.environ[BATCH_INVARIANT] == ("1" if knows else "0")
