"""A judge on every kind of answer: intervals, orders, pairs, several answers to a question; stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judges import RAMBLE, Judge, finished, samples, verdict, verdicts

import viubench
from viubench.errors import ViubenchError
from viubench.schema import Record
from viubench.storage.run_dir import read_manifest, read_records

VAGUE = "It goes on for a while, number"


def unread(tmp_path: Path, task: str) -> Path:
    """A run in which the rules read nothing."""
    return finished(tmp_path, task, {sample.id: f"{VAGUE} {place}." for place, sample in enumerate(samples(task))})


def place(prompt: str) -> int:
    return int(prompt.split(VAGUE)[1].split(".")[0])


@pytest.mark.parametrize("task", ["charades_sta", "vcrbench"])
def test_what_is_no_choice_is_restated_and_read_by_the_rules(tmp_path: Path, task: str) -> None:
    truths = [sample.answer_text for sample in samples(task)]
    run = unread(tmp_path, task)
    judge = Judge(lambda prompt: verdict(answer=truths[place(prompt)] if place(prompt) else "none"))
    found = viubench.judge(run, judge).tasks[task]
    assert found.rules == 0.0
    assert found.judged is not None
    assert found.judged.value == pytest.approx((len(truths) - 1) / len(truths), abs=1e-6)
    assert found.judge_errors == 0
    assert not any(truth in prompt for truth, prompt in zip(truths, judge.prompts, strict=True) if len(truth) > 3)


def test_a_pair_with_a_judge_error_is_left_out_whole(tmp_path: Path) -> None:
    rows = samples("vinoground")
    run = unread(tmp_path, "vinoground")
    judge = Judge(lambda prompt: RAMBLE if place(prompt) == 0 else verdict(answer=rows[place(prompt)].target))
    found = viubench.judge(run, judge, max_errors=1).tasks["vinoground"]
    assert found.errors == {"unparsed": 1}
    assert found.judged is not None
    assert found.judged.value == 1.0
    lost = sum(sample.cluster == rows[0].cluster for sample in rows)
    assert found.judged.n == len({sample.id for sample in rows}) - lost
    assert found.judged.bounds[1] == 1.0


def test_options_that_the_question_does_not_show_are_judged_by_the_true_answer(tmp_path: Path) -> None:
    run = unread(tmp_path, "tempcompass_multi_choice")
    log = run / "records.jsonl"
    hidden = [record.model_copy(update={"question": "Which way?"}) for record in read_records(run)]
    log.write_text("".join(record.model_dump_json() + "\n" for record in hidden))
    judge = Judge(lambda _: verdict(correct=True))
    found = viubench.judge(run, judge).tasks["tempcompass_multi_choice"]
    assert found.judged is not None
    assert found.judged.value == 1.0
    assert all("Reference answer" in prompt for prompt in judge.prompts)


def test_several_answers_to_a_question_are_judged_one_by_one(tmp_path: Path) -> None:
    task = "tempcompass_yes_no"
    run = unread(tmp_path, task)
    twice = [
        record.model_copy(update={"number": number, "response": f"{record.response} {number}"})
        for record in read_records(run)
        for number in (0, 1)
    ]
    (run / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in twice))
    manifest = read_manifest(run)
    protocol = manifest.protocols[task]
    drawn = protocol.decoding.model_copy(update={"samples": 2, "temperature": 1.0})
    protocols = {task: protocol.model_copy(update={"decoding": drawn})}
    (run / "manifest.json").write_text(
        manifest.model_copy(update={"protocols": protocols}).model_dump_json(by_alias=True)
    )
    results = json.loads((run / "results.json").read_bytes())
    del results["manifest_hash"]  # as of a run from before there was one
    (run / "results.json").write_text(json.dumps(results))
    truths = {f"{VAGUE} {k}.": sample.target for k, sample in enumerate(samples(task))}

    def say(prompt: str) -> str:
        truth = truths[f"{VAGUE} {place(prompt)}."]
        return verdict(answer=truth if ". 0\n" in prompt else {"yes": "no", "no": "yes"}[truth])

    found = viubench.judge(run, Judge(say)).tasks[task]
    assert found.asked == 2 * len(samples(task))
    assert found.judged is not None
    assert found.judged.value == 0.5


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [0, 1, 3])
def test_stopped_anywhere_it_resumes_and_asks_only_for_the_rest(tmp_path: Path, after: int) -> None:
    run = unread(tmp_path, "tempcompass_captioning")
    first = Judge(lambda _: Killed() if len(first.prompts) > after else verdict(answer="A"))
    first.max_in_flight = 1
    with pytest.raises((BaseExceptionGroup, Killed)):
        viubench.judge(run, first)
    second = Judge(lambda _: verdict(answer="A"))
    viubench.judge(run, second)
    assert len(second.prompts) == 4 - after
    assert len({record.id for record in verdicts(run)}) == len(verdicts(run)) == 4


def test_an_answer_that_changed_is_judged_anew(tmp_path: Path) -> None:
    run = unread(tmp_path, "tempcompass_captioning")
    viubench.judge(run, Judge(lambda _: verdict(answer="A")))
    log = run / "records.jsonl"
    known = list(read_records(run))
    changed = [known[0].model_copy(update={"response": f"{VAGUE} 9."}), *known[1:]]
    log.write_text("".join(record.model_dump_json() + "\n" for record in changed))
    judge = Judge(lambda _: verdict(answer="B"))
    found = viubench.judge(run, judge).tasks["tempcompass_captioning"]
    assert [place(prompt) for prompt in judge.prompts] == [9]
    assert (found.asked, found.verdicts) == (4, 4)


def test_another_judge_in_the_same_place_is_refused_while_one_writes(tmp_path: Path) -> None:
    run = unread(tmp_path, "tempcompass_captioning")

    def again(_: str) -> str:
        with pytest.raises(ViubenchError, match="another process is writing"):
            viubench.judge(run, Judge(lambda _: verdict(answer="A")))
        return verdict(answer="A")

    viubench.judge(run, Judge(again))


def test_a_record_from_before_keeps_its_bytes() -> None:
    line = Record(task="t", id="a", cluster="c", status="ok").model_dump_json()
    assert "judge" not in line
