"""Answers held to a form, and the likeliest of the options, with transformers.

Example:
    grammars = Grammars(model, tokenizer)
    model.generate(**inputs, logits_processor=[grammars.processor(Constraint(regex="[0-9]{1,3}"))])
    option_logprobs(model, tokenizer, prompt, inputs, ["A", "B"])  # [[-0.2], [-1.7]]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from evaluators import Constraint
from viubench.engines.constrained import continuations
from viubench.errors import ViubenchError

KEPT = 32  # grammars that stay compiled


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


def option_logprobs(model: Any, tokenizer: Any, prompt: str, inputs: Any, options: Sequence[str]) -> list[list[float]]:
    """The log-probability of each token of each option as the continuation of the prompt, whose model inputs are
    `inputs`. One pass over the prompt says all of options of one token; of longer ones, `generate` is led along each.
    """
    ends = model.generation_config.eos_token_id
    end = ends[0] if isinstance(ends, list) else tokenizer.eos_token_id if ends is None else ends
    paths = continuations(tokenizer, prompt, options, end)
    known: dict[tuple[int, ...], Any] = {}  # what was generated -> log-probabilities of the next token
    for path in sorted(paths, key=len, reverse=True):
        if path[:-1] not in known:
            for length, row in enumerate(_along(model, inputs, path)):
                known[path[:length]] = row
    return [[float(known[path[:place]][token]) for place, token in enumerate(path)] for path in paths]


def _along(model: Any, inputs: Any, path: tuple[int, ...]) -> list[Any]:
    """Log-probabilities over the vocabulary before each token of `path`."""
    from transformers import GenerationConfig

    own = model.generation_config
    start = inputs["input_ids"].shape[1]
    found = model.generate(
        **inputs,
        generation_config=GenerationConfig(
            max_new_tokens=len(path),
            do_sample=False,
            eos_token_id=own.eos_token_id,
            pad_token_id=own.pad_token_id,
            output_logits=True,  # as the model gives them, before anything is masked
            return_dict_in_generate=True,
        ),
        prefix_allowed_tokens_fn=lambda _, ids: [path[len(ids) - start]],
    )
    return [logits[0].float().log_softmax(-1).cpu() for logits in found.logits]
