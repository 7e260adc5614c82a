"""Answers held to a form, and the likeliest of the options, with transformers.

Example:
    grammars = Grammars(model, tokenizer)
    model.generate(**inputs, logits_processor=[grammars.processor(Constraint(regex="[0-9]{1,3}"))])
    option_logprobs(model, inputs, [(32,), (33,)])  # [[-0.2], [-1.7]]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from evaluators import Constraint
from viubench.errors import ViubenchError
from viubench.scoring.reasoning import part

KEPT = 32  # grammars that stay compiled


def refuse_reasoning(thinking: str, prompt_end: str) -> None:
    """Raise ViubenchError where the model would reason first: the form would be that of its reasoning."""
    if thinking == "on" or not part("", prompt_end).finished:
        raise ViubenchError(
            "the hf engine cannot tell where the reasoning ends and an answer of a given form begins",
            where="answers",
            hint="--thinking off; or --engine vllm --set answers=constrained --set chat.reasoning_parser=NAME",
        )


class Grammars:
    """Constraints compiled for the vocabulary of one model, by xgrammar as in vLLM; ViubenchError without it."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        try:
            import xgrammar
        except ImportError as error:
            raise ViubenchError(
                f"constrained answers need xgrammar: {error}", where="--engine hf", hint="pip install xgrammar"
            ) from error
        ends = model.generation_config.eos_token_id
        vocabulary = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer,
            vocab_size=model.get_output_embeddings().weight.shape[0],
            stop_token_ids=ends,
        )
        self._compiler = xgrammar.GrammarCompiler(vocabulary)
        self._compiled = lru_cache(KEPT)(self._compile)

    def processor(self, constraint: Constraint) -> Any:
        """A logits processor for one call of `generate`."""
        from xgrammar.contrib.hf import LogitsProcessor

        return LogitsProcessor(self._compiled(constraint))

    def _compile(self, constraint: Constraint) -> Any:
        if constraint.regex:
            return self._compiler.compile_regex(constraint.regex)
        return self._compiler.compile_grammar("root ::= " + " | ".join(map(json.dumps, constraint.choices)))


def option_logprobs(model: Any, inputs: Any, options: Sequence[tuple[int, ...]]) -> list[list[float]]:
    """The log-probability of each token of each option as the continuation of the prompt.

    One pass over the prompt says all of options of one token. Of longer ones, `generate` is led along each.
    """
    known: dict[tuple[int, ...], Any] = {}  # what was generated -> log-probabilities of the next token
    for option in sorted(options, key=len, reverse=True):
        if option[:-1] not in known:
            for length, row in enumerate(_along(model, inputs, option)):
                known[option[:length]] = row
    return [[float(known[option[:place]][token]) for place, token in enumerate(option)] for option in options]


def _along(model: Any, inputs: Any, option: tuple[int, ...]) -> list[Any]:
    """Log-probabilities over the vocabulary before each token of `option`."""
    from transformers import GenerationConfig

    own = model.generation_config
    start = inputs["input_ids"].shape[1]
    found = model.generate(
        **inputs,
        generation_config=GenerationConfig(
            max_new_tokens=len(option),
            do_sample=False,
            eos_token_id=own.eos_token_id,
            pad_token_id=own.pad_token_id,
            output_logits=True,  # as the model gives them, before anything is masked
            return_dict_in_generate=True,
        ),
        prefix_allowed_tokens_fn=lambda _, ids: [option[len(ids) - start]],
    )
    return [logits[0].float().log_softmax(-1).cpu() for logits in found.logits]
