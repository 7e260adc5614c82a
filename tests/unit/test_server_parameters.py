"""What a request says: sampling, thinking, the form of the answer; and what is left out when a server minds it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_server import Body, Reply, Serve, completion, fine
from server_requests import ask, ask_at_once, request

from evaluators import Constraint
from viubench.engines.server import ServerEngine
from viubench.engines.server import arguments as server_arguments
from viubench.engines.server import http as server_http
from viubench.engines.server import parameters as server_parameters
from viubench.engines.server.arguments import Settings
from viubench.engines.server.parameters import constrained, fields
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Chat, Decoding

THINKING = Decoding(max_tokens=32_768, temperature=0.6, top_p=0.95, top_k=20)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)


def sent(server: str, decoding: Decoding, chat: Chat | None = None, **args: str) -> Body:
    return fields(decoding, chat or Chat(), seed=5, server=server, settings=Settings.read(args))


OFF = {"top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}


def test_a_vllm_server_is_told_every_value() -> None:
    greedy = {"max_tokens": 64, "temperature": 0.0, "top_p": 1.0}
    assert sent("vllm", Decoding()) == greedy | OFF
    assert sent("vllm", THINKING) == {
        "max_tokens": 32_768, "temperature": 0.6, "top_p": 0.95, "seed": 5, **OFF, "top_k": 20
    }  # fmt: skip
    assert sent("sglang", Decoding())["top_k"] == -1
    assert sent("", Decoding(stop=("\n",), presence_penalty=1.5, seed=7)) == greedy | {
        "stop": ["\n"], "presence_penalty": 1.5, "seed": 5
    }  # fmt: skip


def test_the_models_own_sampling_is_left_alone() -> None:
    assert sent("vllm", Decoding(generation_config=True, stop=("x",))) == {"max_tokens": 64, "stop": ["x"], "seed": 5}


def test_what_openai_does_not_have_must_be_vouched_for() -> None:
    with pytest.raises(ViubenchError, match="top_k"):
        sent("", THINKING)
    assert sent("", THINKING, extra_body='{"top_k": 20}')["top_k"] == 20
    with pytest.raises(ViubenchError, match="extra_body sets top_k"):
        sent("", THINKING, extra_body='{"top_k": 40}')
    with pytest.raises(ViubenchError, match="extra_body sets temperature"):
        sent("vllm", Decoding(), extra_body='{"temperature": 1}')


def test_parameters_are_left_out_when_asked_for_and_never_a_set_one() -> None:
    left = sent("", Decoding(), omit="temperature,top_p,seed", max_tokens_field="max_completion_tokens")
    assert left == {"max_completion_tokens": 64}
    for name in ("temperature", "top_p", "top_k"):
        with pytest.raises(ViubenchError, match=f"sets {name}, which omit leaves out"):
            sent("vllm", THINKING, omit=name)
    with pytest.raises(ViubenchError, match="omit"):
        sent("", Decoding(seed=3), omit="seed")
    with pytest.raises(ViubenchError, match="messages"):
        Settings.read({"omit": "messages"})


def test_thinking_is_said_in_the_servers_words() -> None:
    chat = Chat(thinking="off", template_kwargs={"tone": "dry"}, reasoning_budget=50)
    assert sent("vllm", Decoding(), chat)["chat_template_kwargs"] == {"tone": "dry", "enable_thinking": False}
    assert sent("vllm", Decoding(), chat)["thinking_token_budget"] == 50
    deep = sent("vllm", Decoding(), chat, extra_body='{"chat_template_kwargs": {"more": 1}}')
    assert deep["chat_template_kwargs"] == {"tone": "dry", "enable_thinking": False, "more": 1}
    with pytest.raises(ViubenchError, match="enable_thinking"):
        sent("", Decoding(), Chat(thinking="on"))
    effort = sent("", Decoding(), Chat(thinking="on", reasoning_budget=9), extra_body='{"reasoning_effort": "low"}')
    assert effort["reasoning_effort"] == "low"


def test_answers_are_constrained_where_the_server_is_known_to() -> None:
    letters, times = Constraint(choices=("A", "B (b)")), Constraint(regex=r"\d+")
    assert constrained(None, "", Settings()) == {}
    assert constrained(letters, "vllm", Settings()) == {"structured_outputs": {"choice": ["A", "B (b)"]}}
    assert constrained(times, "vllm", Settings()) == {"structured_outputs": {"regex": r"\d+"}}
    assert constrained(letters, "sglang", Settings()) == {"regex": r"(?:A)|(?:B\ \(b\))"}
    schema = constrained(letters, "", Settings(constraint="response_format"))["response_format"]["json_schema"]
    assert schema["schema"]["properties"]["answer"]["enum"] == ["A", "B (b)"]
    with pytest.raises(ViubenchError, match="by pattern"):
        constrained(times, "", Settings(constraint="response_format"))
    with pytest.raises(ViubenchError, match="not known how this server constrains"):
        constrained(letters, "", Settings())


def test_an_answer_in_json_is_unwrapped(serve: Serve) -> None:
    served = serve(lambda path, body: (200, {}, completion(body, '{"answer": "B"}')), owner="openai")
    engine = ServerEngine(None, [served.url], {"constraint": "response_format"})
    assert ask(engine, request(constraint=Constraint(choices=("A", "B"))))[0].text == "B"


SAYS = {
    "seed": "Unsupported parameter: 'seed' is not supported with this model.",
    "top_p": 'Invalid JSON payload received. Unknown name "top_p": Cannot find field.',
    "min_p": [{"type": "extra_forbidden", "loc": ["body", "min_p"], "msg": "Extra inputs are not permitted"}],
    "return_token_ids": "unexpected keyword argument 'return_token_ids'",
}


@pytest.mark.parametrize("name", SAYS)
def test_what_a_server_does_not_take_is_left_out_where_it_changes_nothing(serve: Serve, name: str) -> None:
    def picky(path: str, body: Body) -> Reply:
        said = SAYS[name]
        words = {"detail": said} if isinstance(said, list) else {"error": {"message": said}}
        return (400, {}, words) if name in body else fine(path, body)

    served = serve(picky)
    engine = ServerEngine(None, [served.url], {})
    sampled = Decoding(max_tokens=7, temperature=1.0)
    answers = ask_at_once(engine, *[request(decoding=sampled) for _ in range(4)])
    assert not [one for one in answers if isinstance(one, BaseException)]
    ask(engine, request(decoding=sampled))
    assert name not in served.chats()[-1]


def test_a_value_that_the_protocol_sets_is_never_left_out(serve: Serve) -> None:
    words = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported."
    served = serve(
        lambda path, body: (400, {}, {"error": {"message": words}}) if "temperature" in body else fine(path, body)
    )
    with pytest.raises(ViubenchError, match=r"does not take temperature=0\.0") as caught:
        ask(ServerEngine(None, [served.url], {}), request())
    assert caught.value.hint == "--engine-arg omit=temperature lets the server's own hold"
    assert ask(ServerEngine(None, [served.url], {"omit": "temperature"}), request())[0].text == "3.0 - 4.0"


def test_the_limit_of_tokens_goes_under_the_name_the_server_wants(serve: Serve) -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    served = serve(
        lambda path, body: (400, {}, {"error": {"message": words}}) if "max_tokens" in body else fine(path, body)
    )
    engine = ServerEngine(None, [served.url], {})
    ask_at_once(engine, *[request() for _ in range(4)])
    assert served.chats()[-1]["max_completion_tokens"] == 7
    assert engine.describe()["settings"]["max_tokens_field"] == "max_completion_tokens"


@pytest.mark.parametrize(
    "words",
    [
        "'max_tokens' or 'max_completion_tokens' is too large: 4096. The maximum context length is 100.",
        "Unsupported: use 'max_tokens' or 'max_completion_tokens' or neither instead",
        "This model does not support image input.",
    ],
)
def test_other_refusals_are_refusals(serve: Serve, words: str) -> None:
    served = serve(lambda path, body: (400, {}, {"error": {"message": words}}))
    with pytest.raises(EngineError, match=r"HTTP 400"):
        ask(ServerEngine(None, [served.url], {}), request())
    assert len(served.chats()) <= 2


@pytest.mark.parametrize(
    "args",
    [
        {"timeout": "0"}, {"timeout": "nan"}, {"timeout": "inf"}, {"retries": "-1"}, {"max_in_flight": "0"},
        {"requests_per_minute": "-3"}, {"extra_body": "[1]"}, {"extra_body": "{"}, {"headers": '{"a": 1}'},
        {"headers": '{"a": "x\\ny"}'}, {"extra_body": '{"model": "x"}'}, {"extra_body": '{"n": 2}'}, {"sight": "no"},
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ViubenchError):
        Settings.read(args)


def test_more_fields_and_headers_go_with_every_request(serve: Serve) -> None:
    served = serve()
    args = {"extra_body": json.dumps({"provider": {"order": ["x"]}}), "headers": '{"X-Title": "viubench"}'}
    ask(ServerEngine(None, [served.url], args), request())
    assert served.chats()[0]["provider"] == {"order": ["x"]}
    assert served.headers[-1]["x-title"] == "viubench"


def test_the_examples_of_the_documentation_hold() -> None:
    import doctest

    for module in (server_parameters, server_arguments):
        assert doctest.testmod(module).failed == 0
