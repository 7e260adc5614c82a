"""Finished runs handed to other tools, each read back by the tool itself where it is installed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import judges
import pytest
import yaml
from example_rows import EXAMPLES
from exported_runs import MODEL, edit, on_board, records, videomme
from huggingface_hub import ModelCard, parse_eval_result_entries

import viubench
from viubench.errors import ViubenchError
from viubench.export import every_eval_ever, hub, inspect_log, lmms_samples
from viubench.export.finished import FinishedRun
from viubench.schema import Record


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videomme(tmp_path_factory.mktemp("plain") / "run")


@pytest.fixture
def run(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "run"))


def many(k: int, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Two answers to each question, the second one reasoned, counted and timed; the first of all failed."""
    second = {"number": 1, "reasoning": "I look. ", "usage": {"prompt_tokens": 90, "completion_tokens": 7}}
    failed = {"status": "media_error", "response": None, "answer": None, "scores": {}, "rule": None}
    first = {**record, **failed, "error": {"fault": "missing", "detail": "no file"}} if k == 0 else record
    return [first, {**record, **second, "seconds": {"engine": 0.5}}]


@pytest.fixture
def several(run: Path) -> Path:
    return records(run, many)


# What may be exported


def test_results_that_are_not_the_records_own_are_refused(run: Path) -> None:
    edit(run / "results.json", lambda results: results["tasks"]["videomme"].update(value=0.9))
    with pytest.raises(ViubenchError, match=r"results\.json says 0\.9"):
        FinishedRun.read(run)


def test_deleted_records_are_refused(run: Path) -> None:
    path = run / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ViubenchError, match=r"results\.json counts"):
        FinishedRun.read(run)


def test_an_unfinished_run_is_refused(run: Path) -> None:
    (run / "results.json").unlink()
    with pytest.raises(ViubenchError, match="not finished"):
        FinishedRun.read(run)


def test_a_task_for_a_judge_is_left_out(run: Path) -> None:
    edit(run / "results.json", lambda results: results["tasks"]["videomme"].update(needs_judge=True))
    with pytest.raises(ViubenchError, match="no task that is scored by rules"):
        FinishedRun.read(run)


# lmms-eval


def test_lmms_eval_reads_the_scores(run: Path, tmp_path: Path) -> None:
    results, samples = lmms_samples.write(FinishedRun.read(run), tmp_path / "logs")
    loader = pytest.importorskip("lmms_eval.baselines.loader")
    scores, whole = loader.load_baseline(str(samples), "videomme")
    read = viubench.load_run(run)
    assert list(scores.values()) == [record.scores.get("accuracy", 0.0) for record in ordered(read.records)]
    assert whole["results"]["videomme"]["accuracy,none"] == read.results.tasks["videomme"].value
    assert results.parent.name == MODEL.replace("/", "__")


def test_our_importer_gets_the_same_run_back(several: Path, tmp_path: Path) -> None:
    _, samples = lmms_samples.write(FinishedRun.read(several), tmp_path / "logs")
    back = viubench.import_answers([samples], "videomme", data_root=EXAMPLES, out=tmp_path / "back")
    before = viubench.load_run(several)
    told = back.manifest.imported
    assert told is not None
    assert (told.files[0].format, dict(told.matching.matched)) == (
        "lmms-eval",
        {"id": before.results.tasks["videomme"].n},
    )
    assert back.model == MODEL
    responses = [(record.id, record.number, record.response or "") for record in ordered(before.records)]
    assert [(record.id, record.number, record.response or "") for record in ordered(back.records)] == responses


def ordered(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.key)


# Every Eval Ever: what its schema 0.3.0 requires, and the schema's own check where it is installed (Python 3.12)

REQUIRED: dict[str, Any] = {
    "schema_version": "0.3.0",
    "evaluation_id": str,
    "retrieved_timestamp": str,
    "source_metadata": {
        "source_type": "evaluation_run",
        "source_organization_name": str,
        "evaluator_relationship": "third_party",
    },
    "model_info": {
        "name": str,
        "id": MODEL,
        "additional_details": {"deployment_type": str, "model_availability": str},
    },
    "eval_library": {"name": "viubench", "version": str},
}
RESULT: dict[str, Any] = {
    "evaluation_name": "videomme",
    "source_data": {"dataset_name": "Video-MME", "source_type": "hf_dataset"},
    "metric_config": {"lower_is_better": bool, "score_type": "continuous", "min_score": float, "max_score": float},
    "score_details": {"score": float, "uncertainty": {"confidence_interval": {"lower": float, "upper": float}}},
}
ROW: dict[str, Any] = {
    "schema_version": "0.3.0",
    "evaluation_id": str,
    "model_id": MODEL,
    "evaluation_name": "videomme",
    "sample_id": str,
    "interaction_type": "single_turn",
    "input": {"raw": str, "reference": list},
    "output": {"raw": list},
    "answer_attribution": list,
    "evaluation": {"score": float, "is_correct": bool},
}


def check(value: Any, wanted: Any) -> None:
    """`value` has what is wanted: a value, a type, or fields."""
    if isinstance(wanted, dict):
        for key, part in wanted.items():
            check(value[key], part)
    elif isinstance(wanted, list):
        for one, part in zip(value, wanted, strict=True):
            check(one, part)
    elif isinstance(wanted, type):
        assert isinstance(value, wanted), (value, wanted)
    else:
        assert value == wanted


def evaluated(run: Path, out: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[Path]]:
    found = FinishedRun.read(run)
    by = every_eval_ever.Evaluated(found.model_id(None), "A lab")
    written = every_eval_ever.write(found, out, by)
    assert written == every_eval_ever.write(found, out, by), "a second export replaces the first"
    aggregate, rows = written
    return json.loads(aggregate.read_text()), [json.loads(line) for line in rows.read_text().splitlines()], written


def test_every_eval_ever_has_what_it_requires(several: Path, tmp_path: Path) -> None:
    on_board(several)
    aggregate, rows, written = evaluated(several, tmp_path / "out")
    check(aggregate, REQUIRED)
    check(aggregate["evaluation_results"][0], RESULT)
    for row in rows:
        check(row, ROW)
        assert row["evaluation_id"] == aggregate["evaluation_id"]
        for part in row["answer_attribution"]:
            check(part, {"turn_idx": 0, "source": str, "extracted_value": str, "extraction_method": str})
    result = viubench.load_run(several).results.tasks["videomme"]
    assert sum(row["evaluation"]["score"] for row in rows) / len(rows) == pytest.approx(result.value, abs=1e-6)
    (failed,) = (row for row in rows if row["error"])
    assert (failed["error"], failed["token_usage"], failed["output"]["raw"][0]) == ("missing", None, "")
    assert failed["metadata"]["statuses"].startswith("media_error, ")
    detail = aggregate["detailed_evaluation_results"]
    assert detail["total_rows"] == len(rows) == result.n
    assert detail["checksum"] == hashlib.sha256(written[1].read_bytes()).hexdigest()
    assert (tmp_path / "out" / detail["file_path"]) == written[1]
    assert written[1].parent.parts[-3:] == ("Video-MME", *MODEL.split("/"))
    assert all(
        isinstance(value, str) for value in aggregate["evaluation_results"][0]["score_details"]["details"].values()
    )


JUDGED: dict[str, Any] = {
    "metric_config": {"llm_scoring": {"judges": [{"model_info": {"name": "judge"}}], "input_prompt": str}},
    "score_details": {"score": float, "details": {"judge_errors": str, "bounds": str}},
}


def judged(task: str, folder: Path, **said: Any) -> tuple[dict[str, Any], viubench.Run]:
    """The aggregate of a task whose answers no rule reads, as a judge reads them, and the run."""
    run = judges.finished(folder, task, {one.id: "no idea" for one in judges.samples(task)})
    viubench.judge(run, judges.Judge(lambda _: judges.verdict(**said)))
    found = FinishedRun.read(run, with_judges=True)
    first, *_ = every_eval_ever.write(found, folder / "out", every_eval_ever.Evaluated(MODEL, "A lab"))
    return json.loads(first.read_text()), viubench.load_run(run)


def test_every_eval_ever_tells_the_judge_s_score_beside_that_of_the_rules(tmp_path: Path) -> None:
    aggregate, run = judged("videomme", tmp_path, answer="B")
    rules, judge = aggregate["evaluation_results"]
    assert rules["score_details"]["score"] == run.results.tasks["videomme"].value == 0.0
    check({**judge, "metric_config": {"llm_scoring": judge["metric_config"]["llm_scoring"]}}, JUDGED)
    told = run.judged[0].tasks["videomme"].judged
    assert told is not None
    assert judge["score_details"]["score"] == told.value > 0
    assert "What stands on the hill?" not in judge["metric_config"]["llm_scoring"]["input_prompt"], "the template"


def test_every_eval_ever_has_tasks_that_a_judge_alone_scores(tmp_path: Path) -> None:
    aggregate, run = judged("mmvu_open", tmp_path, correct=True)
    (result,) = aggregate["evaluation_results"]
    assert result["evaluation_result_id"].endswith(run.judged[0].judge)
    assert "detailed_evaluation_results" not in aggregate
    with pytest.raises(ViubenchError, match="no task that is scored by rules"):
        FinishedRun.read(run.path)


@pytest.mark.skipif(shutil.which("every_eval_ever") is None, reason="every-eval-ever needs Python 3.12: not on PATH")
def test_every_eval_ever_s_own_check_takes_it(several: Path, tmp_path: Path) -> None:
    *_, written = evaluated(on_board(several), tmp_path)
    words = ["every_eval_ever", "validate", *(str(path.relative_to(tmp_path)) for path in written)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 0 warning-only" in done.stdout


def test_a_model_of_no_organisation_has_to_be_named(tmp_path: Path) -> None:
    found = FinishedRun.read(videomme(tmp_path / "run", model="my_model"))
    with pytest.raises(ViubenchError, match="does not say whose model"):
        found.model_id(None)
    assert found.model_id("me/my_model") == "me/my_model"


# Inspect


def test_inspect_reads_its_log(several: Path, tmp_path: Path) -> None:
    log_api = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed (viubench[inspect])")
    (path,) = inspect_log.write(FinishedRun.read(several), tmp_path / "logs")
    log = log_api.read_eval_log(str(path))
    result = viubench.load_run(several).results.tasks["videomme"]
    assert log.status == "success"
    assert log.results.scores[0].metrics["accuracy"].value == result.value
    assert log.eval.metadata["protocol_hash"] == result.protocol_hash
    read = {(sample.id, sample.epoch - 1): sample for sample in log.samples}
    for record in viubench.load_run(several).records:
        sample = read.pop(record.key)
        assert sample.scores["viubench"].value == record.scores.get("accuracy", 0.0)
        assert sample.output.completion == (record.response or "")
        assert sample.metadata["status"] == record.status
        assert bool(sample.output.error) == bool(sample.error) == (record.response is None)
    assert not read
    assert log.stats.started_at <= log.stats.completed_at
    summaries = log_api.read_eval_log_sample_summaries(str(path))
    assert len(summaries) == result.answers


def test_the_importer_reads_the_log_of_inspect(several: Path, tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed (viubench[inspect])")
    (path,) = inspect_log.write(FinishedRun.read(several), tmp_path / "logs")
    back = viubench.import_answers([path], "videomme", data_root=EXAMPLES, out=tmp_path / "back")
    assert back.results.tasks["videomme"].value == viubench.load_run(several).results.tasks["videomme"].value


def test_a_missing_inspect_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_log, "find_spec", lambda name: None)
    with pytest.raises(ViubenchError, match="inspect_ai is not installed") as error:
        inspect_log.require()
    assert error.value.hint == "pip install 'viubench[inspect]'"


# The hub


IDS = {"videomme": "without_subtitles"}


def written(run: Path, out: Path, board: hub.Board | None = None) -> Path:
    paths, refused = hub.write(FinishedRun.read(run), out, board or hub.Board(task_ids=IDS))
    assert not refused
    assert all(path.exists() for path in paths)
    return out


def test_the_hub_reads_the_entry_and_the_card(run: Path, tmp_path: Path) -> None:
    board = hub.Board(task_ids=IDS, source_url="https://example.org/run")
    out = written(on_board(run), tmp_path / "model", board)
    (entry,) = parse_eval_result_entries(yaml.safe_load((out / ".eval_results/videomme.yaml").read_text()))
    result = viubench.load_run(run).results.tasks["videomme"]
    assert (entry.dataset_id, entry.task_id) == ("lmms-eval/Video-MME", "without_subtitles")
    assert entry.value == pytest.approx(100 * result.value, abs=0.005)
    assert entry.dataset_revision == "1" * 40
    assert result.protocol_hash in entry.notes
    (card,) = ModelCard.load(out / "README.md").data.eval_results
    assert (card.dataset_type, card.metric_type, card.metric_value) == (entry.dataset_id, "accuracy", entry.value)
    assert card.dataset_args["protocol_hash"] == result.protocol_hash


def test_a_card_that_is_there_keeps_its_text_and_its_other_results(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    (out / "README.md").write_text(
        "---\nlicense: mit\nmodel-index:\n- name: Mine\n  results:\n  - task: {type: other}\n    dataset: {type: a/b, "
        "name: B}\n    metrics: [{type: accuracy, value: 1}]\n---\n# My model\n\nRead me.\n"
    )
    for _ in range(2):  # a second export replaces its own result
        written(on_board(run), out)
    card = ModelCard.load(out / "README.md")
    assert [one.dataset_type for one in card.data.eval_results] == ["a/b", "lmms-eval/Video-MME"]
    assert (card.data.license, card.data.model_name) == ("mit", "Mine")
    assert "Read me." in card.text


def test_a_readme_that_is_no_card_is_refused(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    (out / "README.md").write_text("---\nmodel-index: [1, 2\n---\n")
    with pytest.raises(ViubenchError, match=r"README\.md is no model card"):
        written(on_board(run), out)


@pytest.mark.parametrize(
    ("protocol", "entry", "why"),
    [
        ({"sampling.frames": 16}, {}, "the board asks with sampling.frames 32, this run with 16"),
        ({"decoding.temperature": 0.7}, {}, "the board asks with decoding.temperature 0.0, this run with 0.7"),
        ({}, {"expected": 2700}, "of its 2700 rows were asked"),
        ({}, {"expected": None}, "its number of rows is not known"),
        ({}, {"hash": "0" * 16}, "its definition is not the one known here"),
    ],
)
def test_what_is_not_the_board_s_is_refused(
    run: Path, tmp_path: Path, protocol: dict[str, Any], entry: dict[str, Any], why: str
) -> None:
    on_board(run, protocol, **entry)
    with pytest.raises(ViubenchError, match=why):
        written(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_answers_from_files_belong_on_no_board(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="its answers come from files"):
        written(run, tmp_path / "model")


@pytest.mark.parametrize("engine", ["random", "blind", "oracle"])
def test_a_baseline_belongs_on_no_board(engine: str, run: Path, tmp_path: Path) -> None:
    on_board(run)
    edit(run / "manifest.json", lambda manifest: manifest.update(engine={"kind": engine}))
    with pytest.raises(ViubenchError, match=f"the engine {engine} is no model"):
        written(run, tmp_path / "model")


def test_what_only_the_model_s_frames_decide_is_no_difference(run: Path, tmp_path: Path) -> None:
    written(on_board(run, {"resize.multiple": 28}), tmp_path / "model")


def test_two_tasks_are_not_one_of_the_board_s(run: Path, tmp_path: Path) -> None:
    found = FinishedRun.read(on_board(run))
    twice = replace(found, tasks=[*found.tasks, *found.tasks])
    with pytest.raises(ViubenchError, match="two tasks would be 'without_subtitles' of lmms-eval/Video-MME"):
        hub.write(twice, tmp_path / "model", hub.Board(task_ids=IDS))


def test_another_board_may_ask_otherwise(run: Path, tmp_path: Path) -> None:
    on_board(run, {"sampling.frames": 64})
    written(run, tmp_path / "model", hub.Board(protocol="fps2-64", task_ids=IDS))


def test_a_task_that_shares_its_data_set_has_to_be_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match=r"videomme_interleaved.* share the data set: .* --task-id videomme=ID"):
        written(on_board(run), tmp_path / "model", hub.Board())
    assert [names for (path, _), names in hub.Board().sharing.items() if path == "OpenGVLab/MVBench"] == [["mvbench"]]
