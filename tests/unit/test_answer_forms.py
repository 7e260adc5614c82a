"""Free, constrained and likeliest answers: what is refused before the run, and what an engine is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import evaluators
from tests.unit.test_runner import Fake, sample
from viubench.engines import baselines
from viubench.engines.base import Engine, Request, Response
from viubench.engines.constrained import continuations, likeliest, refuse_reasoning
from viubench.engines.hf import HfEngine
from viubench.engines.server import ServerEngine
from viubench.engines.vllm import VllmEngine
from viubench.errors import ViubenchError
from viubench.runner.answer_forms import require_engine, require_forms
from viubench.runner.pipeline import Pipeline
from viubench.runner.plan import Attempt, Plan
from viubench.schema import Chat, Protocol
from viubench.tasks.registry import Catalogue

MODES = ("free", "constrained", "likelihood")


class Formless(evaluators.Evaluator):
    """A third party's evaluator, which knows of no constraints."""

    parse = score = guess = chance = blind = canonical = target = None  # type: ignore[assignment]


def plan(answers: str, evaluator: evaluators.Evaluator | None = None, **protocol: Any) -> Plan:
    own = Protocol.model_validate({"protocol": "p", "answers": answers, **protocol})
    return Plan([sample("a", "v")], {"t": own}, {"t": evaluator or evaluators.get("choice")})


@pytest.mark.parametrize("answers", MODES)
def test_a_choice_has_a_form_in_every_mode(answers: str) -> None:
    require_forms(plan(answers))


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (plan("constrained", Formless()), "no form of an answer is known for t"),
        (plan("likelihood", Formless()), "no form of an answer is known for t"),
        (plan("likelihood", evaluators.get("temporal_iou")), "no options to take the likeliest of in t"),
        (plan("likelihood", decoding={"samples": 4, "temperature": 1}), "several samples"),
        (plan("likelihood", chat={"thinking": "on"}), "thinking"),
    ],
    ids=str.split("constrained likelihood optionless samples thinking"),
)
def test_a_task_without_the_form_is_refused_by_name(one: Plan, message: str) -> None:
    with pytest.raises(ViubenchError, match=message):
        require_forms(one)


def test_a_free_run_asks_no_evaluator_for_a_form() -> None:
    require_forms(plan("free", Formless()))


@pytest.mark.parametrize("answers", MODES)
@pytest.mark.parametrize(
    ("engine", "known"),
    [
        (baselines.RandomEngine, MODES),
        (baselines.BlindEngine, MODES),
        (baselines.OracleEngine, MODES),
        (baselines.AnswersEngine, MODES),
        (HfEngine, MODES),
        (ServerEngine, ("free", "constrained")),
        (VllmEngine, MODES),
        (Fake, ("free",)),
    ],
)
def test_an_engine_is_refused_what_it_cannot_answer(engine: type[Engine], known: tuple[str, ...], answers: str) -> None:
    made = engine.__new__(engine)
    if answers in known:
        require_engine(plan(answers), made)
    else:
        with pytest.raises(ViubenchError, match=f"the {engine.kind} engine cannot give {answers} answers"):
            require_engine(plan(answers), made)


@pytest.mark.parametrize(("thinking", "end"), [("on", "assistant\n"), ("default", "assistant\n<think>\n")])
def test_no_reasoning_is_held_to_the_form_of_an_answer(thinking: Any, end: str) -> None:
    with pytest.raises(ViubenchError, match="would reason before"):
        refuse_reasoning(Chat(thinking=thinking), end)
    refuse_reasoning(Chat(thinking=thinking), end, parser="qwen3")
    refuse_reasoning(Chat(thinking="off"), end.removesuffix("<think>\n") + "<think>\n\n</think>\n\n")


def test_a_request_carries_the_form_unless_it_is_free() -> None:
    class Asked(Fake):
        needs_media = False

        async def generate(self, request: Request) -> Response:
            self.request = request
            return Response(
                *likeliest(["A", "B"], [[-2.0], [-1.0]])[:1], option_logprobs=likeliest("AB", [[-2], [-1]])[1]
            )

    for answers in MODES:
        engine, one = Asked(), plan(answers)
        record = asyncio.run(Pipeline(one, engine, None, None, frozenset()).answer(Attempt(one.samples[0])))  # type: ignore[arg-type]
        assert engine.request.answers == answers
        choices = engine.request.constraint.choices if engine.request.constraint else ()
        assert choices == (() if answers == "free" else ("A", "B"))
        assert record.answer == "B"
        assert record.model_dump()["option_logprobs"]["A"] == {"logprob": -2.0, "tokens": 1}


def test_the_three_modes_are_three_protocols() -> None:
    hashes = {plan(answers).protocols["t"].hash() for answers in MODES}
    assert len(hashes) == 3
    catalogue = Catalogue()
    free = catalogue.protocol("fps2-32")
    for name in ("constrained", "likelihood"):
        named = catalogue.protocol(name)
        assert named.hash() != free.hash()
        assert named.model_copy(update={"answers": "free"}).hash() == free.hash()
    paper = catalogue.protocol("viubench-constrained").model_copy(update={"answers": "free"})
    assert paper.hash() == catalogue.protocol("viubench").hash()


class Bytes:
    """A tokenizer of single characters that joins a space with the letter after it."""

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        tokens: list[int] = []
        for char in text:
            if tokens and tokens[-1] == ord(" "):
                tokens[-1] = 1000 + ord(char)
            else:
                tokens.append(ord(char))
        return tokens


def test_continuations_follow_the_prompt_and_end_where_one_begins_another() -> None:
    assert continuations(Bytes(), "Q:", ["A", "B"], 7) == [(65,), (66,)]
    assert continuations(Bytes(), "Q:", ["1", "10"], 7) == [(49, 7), (49, 48, 7)]
    assert continuations(Bytes(), "Q: ", ["A", "B"], 7) == [(65,), (66,)]  # the space is no token of its own any more


def test_the_likeliest_option_is_that_of_the_largest_sum_the_first_of_equal_ones() -> None:
    text, options = likeliest(["no", "yes", "maybe"], [[-0.5, -0.5], [-1.0], [-0.1, -0.1, -0.9]])
    assert text == "no"
    assert options["maybe"].logprob == pytest.approx(-1.1)
    assert options["maybe"].per_token == pytest.approx(-1.1 / 3)
    assert max(options.values(), key=lambda option: option.per_token) is options["maybe"]
