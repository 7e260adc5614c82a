"""The published judge of an open-ended task: the question, the sampling and the reading of the reply are lmms-eval's.

Example:
    exchange = Exchange("tempcompass_captioning", "caption", {"mc_question": "...", "mc_answer": "B"}, "A kite rises.")
    exchange.payload["temperature"], exchange.score("Reasoning: It says so.\\nAnswer: B. upwards")
    # (1.0, {'accuracy': 1.0})

Nothing is copied: the `process_results` of the installed task is run, and what it would send to its judge is taken, or
what its judge would say is given. It makes a wrong answer of a reply that it cannot read; here that is a judge error.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from viubench.datasets import published_prompts
from viubench.errors import ViubenchError
from viubench.schema import Chat, Decoding

NAME = "published"

_ANSWER = re.compile(r"^\W*Answer\W*:\W*\w|\A\W*(?:Answer\W+)?(?:[A-Z]\W|none\b)", re.IGNORECASE | re.MULTILINE)


def _says_answer(reply: str) -> bool:
    return _ANSWER.search(reply) is not None


def _says_yes_or_no(reply: str) -> bool:
    try:
        said = ast.literal_eval(reply.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("pred") in ("yes", "no")


FORMS: Mapping[str, tuple[Callable[[str], bool], Callable[[Any], float]]] = {
    "caption": (_says_answer, lambda result: float(result["avg_accuracy"]["rating"])),
    "correct": (_says_yes_or_no, lambda result: float(result["videott_open_ended_score"]["scores"][0] == "yes")),
}
"""By form: whether a reply is a verdict, and the score in what `process_results` gives."""


def is_verdict(form: str, reply: str) -> bool:
    """Whether a reply is one that the published code can read."""
    return FORMS[form][0](reply)


@dataclass(frozen=True)
class Exchange:
    """One response to a document of lmms-eval's task `name`, and its published judge."""

    name: str
    form: str
    doc: Mapping[str, Any]
    response: str

    @cached_property
    def payload(self) -> dict[str, Any]:
        """What would be sent to the judge; ViubenchError where the task of the installed lmms-eval asks none."""
        sent: list[dict[str, Any]] = []
        self._run("", sent)
        if not sent:
            raise ViubenchError(f"lmms-eval's {self.name} asks no judge", where="--prompt published")
        return sent[0]

    @property
    def question(self) -> str:
        """What the judge is asked."""
        return str(self.payload["messages"][-1]["content"])

    def score(self, reply: str) -> dict[str, float]:
        """The score of the response, if the judge says this."""
        return {"accuracy": FORMS[self.form][1](self._run(reply, []))}

    def _run(self, reply: str, sent: list[dict[str, Any]]) -> Any:
        function = published_prompts.process_results(self.name)
        with _answering(function.__globals__, reply, sent):
            try:
                return function(dict(self.doc), [self.response])
            except (Exception, SystemExit) as error:  # another project's code: anything may come
                message = f"lmms-eval's {self.name} cannot be asked: {type(error).__name__}: {error}"
                raise ViubenchError(message, where="--prompt published") from error


def source(name: str) -> str:
    """What stands for the prompt in a protocol."""
    return f"lmms-eval {version('lmms-eval')}, {name}"


def settings(name: str, form: str) -> tuple[Decoding, Chat]:
    """The published sampling and system prompt."""
    fields = ("question", "answer", "mc_question", "mc_answer", "video_id", "dim", "capability")
    payload = Exchange(name, form, dict.fromkeys(fields, "A. a"), "a").payload
    system = [message["content"] for message in payload["messages"] if message["role"] == "system"]
    named = {field: payload[field] for field in Decoding.model_fields if field in payload}
    return Decoding.model_validate(named), Chat(system="\n".join(system))


@contextmanager
def _answering(module: dict[str, Any], reply: str, sent: list[dict[str, Any]]) -> Iterator[None]:
    """The web request of a module replaced: what it sends goes into `sent`, and it is answered by `reply`."""

    def post(url: object, headers: object = None, **request: Any) -> Any:
        sent.append(request["json"] if "json" in request else json.loads(request["data"]))
        said = {"model": "", "usage": {}, "choices": [{"message": {"content": reply}}]}
        content = json.dumps(said).encode()
        return SimpleNamespace(content=content, text="", json=lambda: said, raise_for_status=lambda: None)

    kept: dict[str, Any] = {name: module[name] for name in ("requests", "eval_logger") if name in module}
    if "requests" in kept:
        module["requests"] = SimpleNamespace(post=post, exceptions=kept["requests"].exceptions)
    if "eval_logger" in kept:
        module["eval_logger"] = SimpleNamespace(**dict.fromkeys(("error", "info", "warning", "debug"), lambda *_: None))
    try:
        yield
    finally:
        module.update(kept)
