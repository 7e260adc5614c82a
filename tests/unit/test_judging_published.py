"""The published judge: its question, sampling and reading are lmms-eval's; a reply that this cannot read is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from judges import RAMBLE, Judge, finished, samples, verdict

import viubench
from viubench.engines.base import Request, Response
from viubench.errors import ViubenchError
from viubench.judging.published import is_verdict

pytest.importorskip("lmms_eval")
pytestmark = pytest.mark.xdist_group("lmms_eval")

CAPTIONS, OPEN = "tempcompass_captioning", "video_tt_open"


def run_of(tmp_path: Path, task: str) -> Path:
    return finished(tmp_path, task, {sample.id: f"It rises, number {k}." for k, sample in enumerate(samples(task))})


class Listening(Judge):
    """Keeps the requests too."""

    requests: list[Request]

    async def generate(self, request: Request) -> Response:
        self.requests = [*getattr(self, "requests", []), request]
        return await super().generate(request)


def test_a_caption_is_judged_as_published(tmp_path: Path) -> None:
    truths = [sample.target["answer"] for sample in samples(CAPTIONS)]

    def say(prompt: str) -> str:
        k = int(prompt.split("number ")[1].split(".")[0])
        both = "A. this, B. that"  # two options are none to the published reading
        return ["Reasoning: So it is.\nAnswer: " + (f"{truths[k]}. so" if k % 2 else both), RAMBLE][k == 3]

    judge = Listening(say)
    task = viubench.judge(run_of(tmp_path, CAPTIONS), judge, prompt="published", max_errors=1, checks=1).tasks[CAPTIONS]
    assert (task.form, task.errors) == ("published", {"unparsed": 1})
    assert task.judged is not None
    assert task.judged.value == pytest.approx(1 / 3, abs=1e-6)
    assert task.swapped is None
    assert task.repeated is not None
    assert all("video description" in prompt and "Reasoning:" in prompt for prompt in judge.prompts)
    decoding, chat = judge.requests[0].decoding, judge.requests[0].chat
    assert (decoding.temperature, decoding.presence_penalty, decoding.max_tokens) == (1.0, 1.0, 128)
    assert "question answering" in chat.system


def test_an_open_answer_is_judged_as_published(tmp_path: Path) -> None:
    judge = Judge(
        lambda prompt: "{'pred': 'yes', 'score': 4}" if "number 0" in prompt else "{'pred': 'no', 'score': 1}"
    )
    task = viubench.judge(run_of(tmp_path, OPEN), judge, prompt="published").tasks[OPEN]
    assert task.judged is not None
    assert task.judged.value == pytest.approx(1 / 6, abs=1e-6)


def test_a_run_without_a_published_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="no published judge"):
        viubench.judge(run_of(tmp_path, "mlvu_summary"), Judge(lambda _: verdict()), prompt="published")


@pytest.mark.parametrize(
    ("form", "reply", "verdict"),
    [
        ("caption", "Reasoning: x.\nAnswer: B. y", True),
        ("caption", "Answer: None of the choices are correct", True),
        ("caption", "B. palying football", True),
        ("caption", "None of the choices are correct.", True),
        ("caption", "The Answer is hard to give: one sees little.", False),
        ("caption", "Reasoning: the video shows", False),
        ("caption", "", False),
        ("correct", "{'pred': 'no', 'score': 0}", True),
        ("correct", "{'pred': 'maybe', 'score': 0}", False),
        ("correct", "yes, it is right", False),
        ("correct", "[" * 10_000, False),
    ],
)
def test_what_is_a_verdict_to_the_published_reading(form: str, reply: str, verdict: bool) -> None:
    assert is_verdict(form, reply) is verdict
