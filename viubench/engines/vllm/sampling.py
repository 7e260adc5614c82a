"""How vLLM generates one answer: a protocol's decoding as vLLM's sampling parameters, and its answer as a response.

Example:
    sampling_values(Decoding(temperature=0.6, top_p=0.95, top_k=20), Chat(), seed=7)
    # {'max_tokens': 64, 'temperature': 0.6, 'top_p': 0.95, 'top_k': 20, ..., 'seed': 7}
"""

from __future__ import annotations

from typing import Any

from evaluators import Constraint
from viubench.errors import ViubenchError
from viubench.schema import Chat, Decoding

FAILED = ("abort", "error")
"""Finish reasons of vLLM that say that it failed, for example that its caches of processed videos differ."""


def sampling_values(decoding: Decoding, chat: Chat, seed: int, constraint: Constraint | None = None) -> dict[str, Any]:
    """The arguments of vLLM's SamplingParams; a greedy answer has no seed."""
    values: dict[str, Any] = {
        "max_tokens": decoding.max_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,  # 0 is all tokens to vLLM too
        "min_p": decoding.min_p,
        "presence_penalty": decoding.presence_penalty,
        "frequency_penalty": decoding.frequency_penalty,
        "repetition_penalty": decoding.repetition_penalty,
        "stop": list(decoding.stop),
        "seed": seed if decoding.temperature else None,
    }
    if chat.reasoning_budget is not None:
        values["thinking_token_budget"] = chat.reasoning_budget
    if constraint is not None:
        values["structured_outputs"] = structured(constraint)
    return values


def structured(constraint: Constraint) -> Any:
    """A constraint as vLLM's StructuredOutputsParams."""
    from vllm.sampling_params import StructuredOutputsParams

    if constraint.choices:
        return StructuredOutputsParams(choice=list(constraint.choices))
    return StructuredOutputsParams(regex=constraint.regex)


class ReasoningParser:
    """vLLM's own parser `name` of a model's reasoning; raises ViubenchError for a name or a tokenizer it has none
    for. `switches` are what the chat template was given (`enable_thinking` ...)."""

    def __init__(self, name: str, tokenizer: Any, switches: dict[str, Any]) -> None:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.reasoning import ReasoningParserManager

        try:
            kind = ReasoningParserManager.get_reasoning_parser(name)
            self._parser = kind(tokenizer, chat_template_kwargs=switches)
        except Exception as error:  # each parser has its own complaint about a tokenizer without its marks
            known = ", ".join(ReasoningParserManager.list_registered())
            raise ViubenchError(
                f"vLLM's reasoning parser {name!r} cannot be used: {error}".split(" Available")[0],
                where="chat.reasoning_parser",
                hint=f'one of {known}; or "", which reads think tags',
            ) from error
        self._request = self._parser.adjust_request(ChatCompletionRequest(messages=[], model=""))
        self.skip_special_tokens = bool(self._request.skip_special_tokens)

    def read(self, chat: Chat, prompt_ids: list[int], text: str) -> tuple[str, str]:
        """Reasoning and answer of the text generated after a prompt; "" where there is none. A parser would take an
        answer for reasoning where the prompt has ended that already."""
        if self.ended(chat, prompt_ids):
            return "", text
        reasoning, content = self._parser.extract_reasoning(text, self._request)
        return reasoning or "", content or ""

    def ended(self, chat: Chat, prompt_ids: list[int]) -> bool:
        """Whether the answer follows a prompt at once: no reasoning is asked for, or the prompt has ended it."""
        return chat.thinking == "off" or bool(self._parser.is_reasoning_end(prompt_ids))
