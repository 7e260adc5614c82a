"""A real lmms-eval run, its samples logged, imported: its own scores are those of the named rule, sample by sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lmms_process import LmmsProcess

import viubench

pytest.importorskip("lmms_eval")
pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("lmms_eval")]

TASKS = {
    "videomme": ("videomme", "lmms-eval/Video-MME/test.jsonl", "videomme/videomme/test.jsonl"),
    "mvbench": (
        "mvbench_action_antonym",
        "OpenGVLab/MVBench/json/action_antonym.jsonl",
        "mvbench/json/action_antonym.json",
    ),
    "charades_sta": (
        "temporal_grounding_charades",
        "lmms-eval/charades_sta/test.jsonl",
        "charades_sta/data/test-0.jsonl",
    ),
    "mlvu": ("mlvu_dev", "sy1998/MLVU_dev/test.jsonl", "mlvu/test.jsonl"),
}
"""Our task -> lmms-eval's, where its rows lie, and where ours are looked for."""


@pytest.fixture(scope="module")
def data(lmms_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows as a data root of ours."""
    root = tmp_path_factory.mktemp("data")
    for _, theirs, ours in TASKS.values():
        (root / ours).parent.mkdir(parents=True, exist_ok=True)
        text = (lmms_data / theirs).read_text()
        rows = [json.loads(line) for line in text.splitlines()]
        (root / ours).write_text(json.dumps(rows) if ours.endswith(".json") else text)
    return root


def logged(lmms: LmmsProcess, folder: Path, out: Path, *words: object, tasks: str) -> Path:
    """The log folder of a run of lmms-eval with these words."""
    where = {"VIUBENCH_CACHE": str(out / "cache"), "LMMS_EVAL_DATASETS_CACHE": str(out / "datasets"),
             "FORCE_QWENVL_VIDEO_READER": "decord", "VLLM_CPU_KVCACHE_SPACE": "1",
             "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # fmt: skip
    more = ("--tasks", tasks, "--log_samples", "--output_path", out / "logs")
    lmms.run("lmms_eval", *words, *more, cwd=folder, env=where)
    return out / "logs"


def assert_equal_scores(logs: Path, data: Path, out: Path, task: str) -> viubench.Run:
    """Every answer is matched, and scored by the rule as in the file."""
    name = TASKS[task][0]
    (path,) = logs.rglob(f"*_samples_{name}.jsonl")
    run = viubench.import_answers(path, task, data_root=data, out=out / task)
    told = run.manifest.imported
    assert told is not None
    n = len(path.read_text().splitlines())
    assert (sum(told.matching.matched.values()), told.matching.missing, told.matching.unconfirmed) == (n, 0, 0)
    found = viubench.explain_difference(run)
    assert not [one for one in found.samples if "the file scores" in one.reason]
    assert sum(found.counts.values()) == n
    return run


def test_answers_of_the_tiny_model(
    lmms: LmmsProcess, lmms_data: Path, data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("vllm")
    pytest.importorskip("decord")
    arguments = f"model={tiny_model},max_frame_num=4,max_pixels=4096,max_new_tokens=4,dtype=float32,enforce_eager=True"
    arguments += ",skip_mm_profiling=True,tensor_parallel_size=1"
    logs = logged(lmms, lmms_data, tmp_path, "--model", "vllm", "--model_args", arguments, tasks="videomme")
    run = assert_equal_scores(logs, data, tmp_path, "videomme")
    assert run.model == tiny_model.name
    told = run.manifest.protocols["videomme"].imported
    assert told is not None
    assert (told["harness"], told["max_frame_num"]) == ("lmms-eval", "4")


def test_answers_that_are_right_and_wrong(lmms: LmmsProcess, lmms_data: Path, data: Path, tmp_path: Path) -> None:
    words = ("--model", "dummy", "--model_args", "response=B")
    logs = logged(lmms, lmms_data, tmp_path, *words, tasks=",".join(theirs for theirs, _, _ in TASKS.values()))
    (results,) = logs.rglob("*_results.json")
    theirs = json.loads(results.read_text())["results"]
    for task in TASKS:
        run = assert_equal_scores(logs, data, tmp_path, task)
        if task in ("videomme", "mvbench"):  # the others are averaged by lists of their own
            rule = next(iter(run.results.tasks[task].rules.values()))
            (percent,) = (v for k, v in theirs[TASKS[task][0]].items() if k.endswith(",none") and "stderr" not in k)
            assert rule.value == pytest.approx(percent / 100, abs=1e-6)
            assert 0 < rule.value < 1
