"""What a chat completion asks for beside its messages: sampling, thinking, the form of the answer.

Example:
    >>> fields(Decoding(max_tokens=8), Chat(), seed=3, server="", settings=Settings())
    {'max_tokens': 8, 'temperature': 0.0, 'top_p': 1.0}

Servers that fill what is missing from the checkpoint's own settings (vLLM, SGLang, LMDeploy) are told every value;
others only what the protocol asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from evaluators import Constraint
from viubench.engines.server.arguments import Settings
from viubench.errors import ViubenchError
from viubench.schema import Chat, Decoding

LOCAL = ("vllm", "sglang", "lmdeploy")
"""Servers that take more than OpenAI's parameters, by the owner that their list of models names."""

OFF: dict[str, Any] = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""The value of each sampling parameter that changes nothing."""

NOT_OPENAI = ("top_k", "min_p", "repetition_penalty")
REASONING = frozenset(
    {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template_kwargs", "google"}
)
"""Fields by which one or another server turns thinking on or off."""

_UNSUPPORTED = re.compile(
    r"unsupported|not support|n.t support|does not (?:take|accept)|unknown|unrecogni[sz]ed|unexpected"
    r"|not permitted|not allowed|cannot find field|extra (?:inputs|fields)|instead",
    re.IGNORECASE,
)


def fields(decoding: Decoding, chat: Chat, *, seed: int, server: str, settings: Settings) -> dict[str, Any]:
    """Everything beside model and messages; raises ViubenchError for what this server, or an engine argument, does not
    let the protocol say."""
    sent = {settings.max_tokens_field: decoding.max_tokens} | _sampling(decoding, seed, server)
    for name in settings.omit & set(sent):
        if not droppable(name, decoding) and (name != "temperature" or decoding.temperature):
            raise ViubenchError(
                f"the protocol sets {name}, which omit leaves out",
                where="--engine-arg omit",
                hint=f"ask for another value: --set decoding.{name}=...",
            )
        del sent[name]
    for name in NOT_OPENAI:
        if server not in LOCAL and name in sent and name not in settings.extra_body:
            raise ViubenchError(
                f"the protocol sets {name}, which OpenAI's interface does not have",
                where=f"decoding.{name}",
                hint=f"if this server takes it: --engine-arg 'extra_body={json.dumps({name: sent[name]})}'",
            )
    for name in set(settings.extra_body) & {*OFF, "temperature", "max_tokens", "max_completion_tokens", "stop", "seed"}:
        if settings.extra_body[name] != sent.get(name):
            raise ViubenchError(
                f"extra_body sets {name}, which is the protocol's",
                where="--engine-arg extra_body",
                hint=f"--set decoding.{name.replace('max_completion', 'max')}=...",
            )
    return merged(sent | _thinking(chat, server, settings.extra_body), settings.extra_body)


def droppable(name: str, decoding: Decoding) -> bool:
    """Whether a parameter may be left out without another meaning: it is off, or a seed that nobody asked for."""
    if name == "seed":
        return decoding.seed is None
    return name in OFF and getattr(decoding, name) == OFF[name]


def constrained(constraint: Constraint | None, server: str, settings: Settings) -> dict[str, Any]:
    """The fields that constrain the answer; raises ViubenchError where this server is not known to take any."""
    if constraint is None:
        return {}
    if settings.constraint == "response_format":
        if not (constraint.choices or constraint.schema):
            raise ViubenchError("response_format has no answers by pattern", where="--engine-arg constraint")
        answer = {"type": "string", "enum": list(constraint.choices)}
        schema = {"type": "object", "properties": {"answer": answer}, "required": ["answer"]}
        whole = json.loads(constraint.schema) if constraint.schema else schema | {"additionalProperties": False}
        form = {"name": "answer", "strict": True, "schema": whole}
        return {"response_format": {"type": "json_schema", "json_schema": form}}
    if server == "vllm" or settings.constraint == "structured_outputs":
        form = {"choice": list(constraint.choices)} if constraint.choices else {"regex": constraint.regex}
        return {"structured_outputs": form}
    if server == "sglang":
        return {"regex": constraint.regex or "|".join(f"(?:{re.escape(choice)})" for choice in constraint.choices)}
    raise ViubenchError(
        "it is not known how this server constrains answers",
        where="answers: constrained",
        hint="--engine-arg constraint=response_format for JSON schemas as OpenAI has them, or structured_outputs",
    )


def constrains(server: str, settings: Settings) -> bool:
    """Whether it is known how this server holds an answer to a form."""
    return server in ("vllm", "sglang") or settings.constraint != "auto"


def unwrapped(text: str) -> str:
    """The answer in the JSON object that `response_format` asks for; other text as it is."""
    try:
        answer = json.loads(text)["answer"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return text
    return answer if isinstance(answer, str) else text


def complained_of(words: str, sent: Collection[str]) -> str | None:
    """The field of the request that a server's refusal says it does not take; None where it says something else."""
    if not _UNSUPPORTED.search(words):
        return None
    named = [(words.find(name), name) for name in sent if re.search(rf"(?<![\w-]){re.escape(name)}(?!\w)", words)]
    return min(named)[1] if named else None


def merged(ours: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both; objects that both have are merged in turn, else `more` wins."""
    result = dict(ours)
    for name, value in more.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _sampling(decoding: Decoding, seed: int, server: str) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    if not decoding.generation_config:
        every = server in LOCAL
        chosen = {name: getattr(decoding, name) for name, off in OFF.items()}
        sent = {"temperature": decoding.temperature, "top_p": decoding.top_p}
        sent |= {name: value for name, value in chosen.items() if every or value != OFF[name]}
        if server == "sglang" and not decoding.top_k:
            sent["top_k"] = -1
    if decoding.stop:
        sent["stop"] = list(decoding.stop)
    if decoding.temperature or decoding.generation_config or decoding.seed is not None:
        sent["seed"] = seed
    return sent


def _thinking(chat: Chat, server: str, extra_body: Mapping[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    options = dict(chat.template_kwargs)
    if chat.thinking != "default":
        options["enable_thinking"] = chat.thinking == "on"
    if server in LOCAL:
        sent = {"chat_template_kwargs": options} if options else {}
    elif options and not REASONING & set(extra_body):
        raise ViubenchError(
            f"it is not known how this server is told {', '.join(options)}",
            where="chat",
            hint="""say it in its own words, for example --engine-arg 'extra_body={"reasoning_effort": "low"}'""",
        )
    if chat.reasoning_budget is not None and server == "vllm":
        sent["thinking_token_budget"] = chat.reasoning_budget
    elif chat.reasoning_budget is not None and not REASONING & set(extra_body):
        raise ViubenchError(
            "it is not known how this server is told a reasoning budget",
            where="chat.reasoning_budget",
            hint="""say it in its own words, for example --engine-arg 'extra_body={"reasoning": {"effort": "low"}}'""",
        )
    return sent
