"""Exported tasks in lmms-eval itself: its vLLM models answer them, and the numbers are those of `viubench score`."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import inprocess
import pytest
from lmms_process import LmmsProcess

from viubench.export import lmms_scoring
from viubench.storage.run_dir import read_records, read_results

pytest.importorskip("lmms_eval")
pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("lmms_eval")]

ON_CPU = "dtype=float32,enforce_eager=True,skip_mm_profiling=True"


def call(lmms: LmmsProcess, *words: object, cache: Path, **environment: str) -> None:
    """lmms-eval with these words; it must not have failed."""
    places = {"VIUBENCH_CACHE": str(cache), "LMMS_EVAL_DATASETS_CACHE": str(cache / "datasets")}
    done = lmms.run("lmms_eval", *words, cwd=cache, env=places | environment)
    printed = done.stdout[-6000:] + done.stderr[-6000:]
    assert "Error during evaluation" not in printed, printed  # lmms-eval ends with 0 all the same


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def mini(clips: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One question of each type of VIUBench at 128x128 pixels."""
    out = tmp_path_factory.mktemp("exported") / "mini"
    inprocess.viubench("export", "lmms-eval", "--tasks", "viubench-mini", "--videos", clips, "--out", out, "--limit", 1,
                    "--protocol", "viubench-128", "--frame-cache", cache)  # fmt: skip
    return out


def command_of(folder: Path) -> tuple[dict[str, str], list[str]]:
    """The README's command: its environment, and its words after `python -m`."""
    block = re.search(r"```\n(.*? -m lmms_eval .*?)\n```", (folder / "README.md").read_text(), re.DOTALL)
    assert block is not None
    words = shlex.split(block[1].replace("\\\n", " "))
    at = words.index("-m") + 1
    return dict(word.split("=", 1) for word in words[: at - 2]), words[at:]


def compared(mini: Path, logs: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """Score the logged answers by `viubench score`; every number and every verdict is the one lmms-eval has."""
    (told,) = logs.rglob("*_results.json")
    theirs = json.loads(told.read_text())["results"]
    samples = [json.loads(line) for path in logs.rglob("*_samples_*.jsonl") for line in path.open()]
    answers = [{"id": s["score"]["record"]["id"], "response": s["filtered_resps"]} for s in samples]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    inprocess.viubench("score", "--tasks", mini / "scoring", "--responses", tmp_path / "answers.jsonl",
                    "--out", tmp_path / "run", "--max-errors", 1)  # fmt: skip
    results, records = read_results(tmp_path / "run"), {r.id: r for r in read_records(tmp_path / "run")}
    for name in {sample["score"]["record"]["task"] for sample in samples}:
        for key, value in lmms_scoring.columns(results.tasks[name]).items():
            expected = None if value is None else pytest.approx(value, abs=1e-9)
            assert theirs[name][f"{key},none"] == expected, (name, key)
    for sample in samples:
        verdict = sample["score"]["record"]
        assert (verdict["status"], verdict["scores"]) == (records[verdict["id"]].status, records[verdict["id"]].scores)
    if "viubench_mini" in theirs:
        suite = results.suites["viubench-mini"].value
        assert theirs["viubench_mini"]["score,none"] == pytest.approx(suite, abs=1e-6)
    return samples


def test_answers_that_score_are_worth_the_same(lmms: LmmsProcess, mini: Path, cache: Path, tmp_path: Path) -> None:
    words = ("--model", "dummy", "--model_args", "response=1.0-5.5", "--include_path", mini, "--tasks",
             "viubench_mini", "--log_samples", "--output_path", tmp_path / "logs")  # fmt: skip
    call(lmms, *words, cache=cache)
    samples = compared(mini, tmp_path / "logs", tmp_path)
    assert len(samples) == 9
    assert sum(sample["score"]["score"] > 0 for sample in samples) >= 3


@pytest.mark.parametrize(
    ("model", "tasks"),
    [("vllm_generate", "viubench_mini"), ("vllm", "viubench_ground_mirror,viubench_jigsaw_easy")],
)
def test_lmms_eval_s_vllm_models_answer_the_exported_tasks(
    model: str, tasks: str, lmms: LmmsProcess, mini: Path, tiny_model: Path, cache: Path, tmp_path: Path
) -> None:
    """By the README's own command, but for the checkpoint, what a CPU needs, and the model's name."""
    pytest.importorskip("vllm")
    environment, words = command_of(mini)
    arguments = words[words.index("--model_args") + 1].replace("model=MODEL", f"model={tiny_model}")
    for option, value in (("--include_path", mini), ("--output_path", tmp_path / "logs"), ("--tasks", tasks),
                          ("--model", model), ("--model_args", f"{arguments},{ON_CPU}")):  # fmt: skip
        words[words.index(option) + 1] = str(value)
    small = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    call(lmms, *words[1:], cache=cache, **environment, **small)
    samples = compared(mini, tmp_path / "logs", tmp_path)
    assert len(samples) == (9 if tasks == "viubench_mini" else 2)
    assert all(sample["filtered_resps"] for sample in samples)


def test_lmms_eval_shows_every_frame_at_the_time_the_answer_is_on(mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through its own reader and message builder, with the README's arguments."""
    reader = pytest.importorskip("qwen_vl_utils.vision_process")
    from lmms_eval.protocol import ChatMessages

    monkeypatch.setattr(reader, "FORCE_QWENVL_VIDEO_READER", "decord")
    reader.get_video_reader_backend.cache_clear()
    _, words = command_of(mini)
    given = dict(pair.split("=") for pair in words[words.index("--model_args") + 1].split(","))
    how = {"fps": int(given["fps"]), "max_frames": int(given["max_frame_num"]), "max_pixels": int(given["max_pixels"]),
           "min_pixels": 28}  # fmt: skip
    for name, frames in (("viubench_ground_mirror", [48]), ("viubench_jigsaw_hard", [6] * 8)):
        doc = json.loads((mini / f"{name}.jsonl").read_text().splitlines()[0])
        sample = json.loads(doc["sample"])
        messages = ChatMessages(messages=lmms_scoring.messages(doc, mini)).to_qwen3_vl_openai_messages(how)
        parts = messages[0]["content"]
        assert sum(part["type"] == "image_url" for part in parts) == sum(frames)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        told = [float(text[1:-9]) for text in texts if re.fullmatch(r"<\d+\.\d seconds>", text)]
        if name == "viubench_ground_mirror":
            assert told == pytest.approx(sample["params"]["times"][:-1], abs=0.1)
            start, stop = sample["params"]["segment"]
            assert [told[start], told[stop]] == pytest.approx(sample["target"], abs=0.15)
        else:
            assert told == told[:6] * 8, "the clips of a jigsaw do not tell their order"
