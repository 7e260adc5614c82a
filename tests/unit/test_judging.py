"""A judge on a finished run: what it is asked, what its verdicts are worth, and how it fails."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judges import RAMBLE, Judge, finished, samples, verdict, verdicts

import viubench
from viubench.engines.base import Response
from viubench.errors import EngineError, Exit, ViubenchError
from viubench.judging import forms
from viubench.judging.verdicts import read
from viubench.storage.run_dir import read_results

TASK = "tempcompass_multi_choice"
VAGUE = "Well, the thing on the screen does what it does."


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Every second answer is right, the others are unread, each in words of its own."""
    texts = {
        sample.id: f"{VAGUE} {place}" if place % 2 else sample.answer_text for place, sample in enumerate(samples(TASK))
    }
    return finished(tmp_path, TASK, texts)


def truth(prompt: str) -> str:
    """The true letter of the answer that a prompt quotes."""
    return str(samples(TASK)[int(re.findall(f"{VAGUE} (\\d+)", prompt)[0])].target)


def test_unread_answers_get_the_judge_s_score_and_the_rules_score_stays(run: Path) -> None:
    before = (run / "results.json").read_bytes()
    judge = Judge(lambda prompt: verdict(answer=truth(prompt)))
    task = viubench.judge(run, judge).tasks[TASK]
    assert (run / "results.json").read_bytes() == before
    assert task.rules == read_results(run).tasks[TASK].value == round(7 / 13, 6)
    assert task.judged is not None
    assert task.judged.value == 1.0
    assert task.judged.bounds == (1.0, 1.0)
    assert (task.asked, task.verdicts, task.judge_errors) == (6, 6, 0)
    assert len(judge.prompts) == 6
    assert all(VAGUE in prompt and "<video>" not in prompt for prompt in judge.prompts)


def test_no_option_is_a_verdict_and_worth_nothing(run: Path) -> None:
    task = viubench.judge(run, Judge(lambda _: verdict(answer="none"))).tasks[TASK]
    assert task.judged is not None
    assert task.judged.value == task.rules
    assert task.judge_errors == 0


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (RAMBLE, "unparsed"),
        ("", "unparsed"),
        (verdict(answer="Z"), "unparsed"),
        (verdict(answer="B") + " or so", "unparsed"),
        (Response(verdict(answer="B"), "length"), "truncated"),
        (Response('{"reason": "It', "length"), "truncated"),
        (Response("", "refused"), "refused"),
        (EngineError("busy"), "engine"),
    ],
)
def test_a_judge_without_a_verdict_is_a_judge_error_and_no_wrong_answer(run: Path, said: Any, fault: str) -> None:
    replies = iter([said] + [verdict(answer="none")] * 5)
    task = viubench.judge(run, Judge(lambda _: next(replies)), max_errors=1).tasks[TASK]
    assert task.errors == {fault: 1}
    assert (task.asked, task.verdicts) == (6, 5)
    assert task.judged is not None
    assert task.judged.n == 12
    assert task.judged.value == round(7 / 12, 6)
    assert task.judged.bounds == (round(7 / 13, 6), round(8 / 13, 6))
    lines = verdicts(run)
    assert sorted(record.status for record in lines) == ["judge_error"] + ["ok"] * 5
    (failed,) = (record for record in lines if record.status == "judge_error")
    assert failed.error is not None
    assert failed.error.fault == fault


def test_a_judge_that_always_fails_leaves_the_unread_without_a_score(run: Path) -> None:
    task = viubench.judge(run, Judge(lambda _: RAMBLE)).tasks[TASK]
    assert task.judged is not None
    assert (task.judged.n, task.judged.value) == (7, 1.0)
    assert task.judged.bounds == (round(7 / 13, 6), 1.0)


def test_resuming_asks_nothing_twice_but_what_the_engine_failed_at(run: Path) -> None:
    judge = Judge(lambda prompt: EngineError("busy") if f"{VAGUE} 3" in prompt else RAMBLE)
    viubench.judge(run, judge, max_errors=1)
    again = Judge(lambda _: verdict(answer="none"))
    task = viubench.judge(run, again).tasks[TASK]
    assert len(judge.prompts) == 6
    assert len(again.prompts) == 1
    assert f"{VAGUE} 3" in again.prompts[0]
    assert task.errors == {"unparsed": 5}
    last = Judge(lambda _: verdict(answer="none"))
    viubench.judge(run, last)
    assert last.prompts == []
    assert len(verdicts(run)) == 6


def test_a_torn_line_is_asked_again_alone(run: Path) -> None:
    viubench.judge(run, Judge(lambda _: verdict(answer="none")))
    (log,) = run.glob("judges/*/records.jsonl")
    log.write_bytes(log.read_bytes()[:-20])
    again = Judge(lambda _: verdict(answer="none"))
    viubench.judge(run, again)
    assert len(again.prompts) == 1


def test_equal_answers_are_asked_about_once(tmp_path: Path) -> None:
    run = finished(tmp_path, TASK, {sample.id: VAGUE for sample in samples(TASK)})
    judge = Judge(lambda _: verdict(answer="A"))
    task = viubench.judge(run, judge).tasks[TASK]
    assert task.asked == 13
    assert len(judge.prompts) == len(set(judge.prompts)) < 13
    drawn = Judge(lambda _: verdict(answer="none"))
    viubench.judge(run, drawn, temperature=1.0)
    assert len(drawn.prompts) == 13  # each verdict is a draw of its own


def test_the_cache_answers_for_other_runs_of_the_same_judge(tmp_path: Path, run: Path) -> None:
    cache = tmp_path / "cache"
    first = viubench.judge(run, Judge(lambda prompt: verdict(answer=truth(prompt))), cache=cache)
    texts = {sample.id: f"{VAGUE} {place}" for place, sample in enumerate(samples(TASK))}
    (tmp_path / "b").mkdir()
    other = finished(tmp_path / "b", TASK, texts)
    judge = Judge(lambda prompt: verdict(answer=truth(prompt)))
    assert viubench.judge(other, judge, cache=cache).tasks[TASK].asked == 13
    assert len(judge.prompts) == 7
    stranger = Judge(lambda prompt: verdict(answer="none"), name="another")
    viubench.judge(other, stranger, cache=cache)
    assert len(stranger.prompts) == 13
    assert first.tasks[TASK].judge_errors == 0


def test_checks_compare_the_judge_with_the_rules_and_with_itself(run: Path) -> None:
    always_first = Judge(lambda prompt: verdict(answer="A"))
    task = viubench.judge(run, always_first, checks=4).tasks[TASK]
    assert (task.asked, len(always_first.prompts)) == (6, 18)
    assert task.read is not None
    assert task.read.n == 4
    assert task.swapped is not None
    assert (task.swapped.n, task.swapped.accuracy) == (4, 0.0)  # the first letter is another option each time
    assert task.repeated is not None
    assert (task.repeated.n, task.repeated.accuracy, task.repeated.kappa) == (4, 1.0, None)


def test_labels_are_compared_with_the_verdicts(run: Path, tmp_path: Path) -> None:
    unread = [sample.id for sample in samples(TASK)][1::2]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps({"id": name, "label": place < 3}) + "\n" for place, name in enumerate(unread)))
    task = viubench.judge(run, Judge(lambda prompt: verdict(answer=truth(prompt))), labels=labels).tasks[TASK]
    assert task.labels is not None
    assert (task.labels.n, task.labels.accuracy, task.labels.kappa) == (6, 0.5, 0.0)
    with pytest.raises(ViubenchError, match="score from 0 to 1"):
        viubench.judge(run, Judge(lambda _: ""), labels={"a": 7})


def test_a_judge_that_cannot_be_reached_is_given_up(tmp_path: Path) -> None:
    run = finished(tmp_path, TASK, {sample.id: f"{VAGUE} {sample.id}" for sample in samples(TASK)})
    with pytest.raises(ViubenchError, match="busy") as caught:
        viubench.judge(run, Judge(lambda _: EngineError("busy")))
    assert caught.value.exit_code == Exit.INVALID_RUN


def test_another_prompt_or_sampling_is_another_judge(run: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Which of {{ options }} is {{ response }}? {{ form }}")
    first = viubench.judge(run, Judge(lambda _: verdict(answer="A")))
    other = viubench.judge(run, Judge(lambda _: verdict(answer="A")), prompt=prompt)
    warm = viubench.judge(run, Judge(lambda _: verdict(answer="A")), temperature=0.5)
    assert len({first.judge, other.judge, warm.judge}) == 3
    assert len({one.tasks[TASK].hash for one in (first, other, warm)}) == 3


FIELDS: list[forms.Fields] = [
    {"answer": ("A", "B", "none")},
    {"correct": (True, False)},
    {"accuracy": (1, 2, 3, 4, 5), "relevance": (1, 2, 3, 4, 5)},
    {"answer": ()},
]


@given(fields=st.sampled_from(FIELDS), data=st.data(), reason=st.text())
def test_a_verdict_of_the_form_is_read_and_anything_else_is_not(
    fields: forms.Fields, data: st.DataObject, reason: str
) -> None:
    said = {name: data.draw(st.sampled_from(allowed) if allowed else st.text()) for name, allowed in fields.items()}
    text = json.dumps({"reason": reason} | said)
    assert read(text, fields) == said
    assert read(f"```json\n{text}\n```", fields) == said
    assert read(text + "x", fields) is None
    assert read(text[:-1], fields) is None
    assert read(json.dumps({"reason": reason, "more": 1} | said), fields) is None
    assert read(json.dumps({"reason": reason}), fields) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"correct": 1}',
        '{"correct": "true"}',
        '{"correct": true, "correct": false}',
        '{"reason": 3, "correct": true}',
        '{"correct": NaN}',
        "[true]",
        "true",
        "[" * 100_000,
    ],
)
def test_what_only_resembles_a_verdict_is_none(text: str) -> None:
    assert read(text, {"correct": (True, False)}) is None


@given(st.text())
def test_no_text_is_read_as_more_than_its_form(text: str) -> None:
    said = read(text, FIELDS[0])
    assert said is None or said["answer"] in FIELDS[0]["answer"]
