"""How `Decoding` is carried out by transformers' `generate`; nothing of a checkpoint's own generation_config leaks in.

Example:
    model.generate(**inputs, generation_config=config(decoding, model.generation_config), **hooks(decoding, tokenizer))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viubench.schema import Decoding

_TAIL = 16  # tokens more than a stop string has characters: those that a window cut open decode to something else


def token_ids(own: Any) -> dict[str, Any]:
    """What is kept of a checkpoint's generation_config: which tokens begin, end and fill a text."""
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    kept = {name: getattr(own, name, None) for name in names}
    if kept["pad_token_id"] is None and kept["eos_token_id"] is not None:
        ends = kept["eos_token_id"]
        kept["pad_token_id"] = ends[0] if isinstance(ends, list) else ends
    return {name: value for name, value in kept.items() if value is not None}


def config(decoding: Decoding, own: Any) -> Any:
    """A GenerationConfig of `decoding` alone, with the token ids of `own`."""
    from transformers import GenerationConfig

    settings: dict[str, Any] = {
        "max_new_tokens": decoding.max_tokens,
        "do_sample": decoding.temperature > 0,
        "repetition_penalty": decoding.repetition_penalty,
        **token_ids(own),
    }
    if decoding.temperature > 0:
        settings |= {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": decoding.top_k}
        settings |= {"min_p": decoding.min_p} if decoding.min_p else {}
    return GenerationConfig(**settings)


def hooks(decoding: Decoding, tokenizer: Any, prompt_tokens: int, form: Sequence[Any] = ()) -> dict[str, Any]:
    """What `generate` has no setting for: presence and frequency penalties over the answer's own tokens, as vLLM and
    OpenAI count them, and stop strings. `form` are further logits processors, which come last."""
    from transformers import LogitsProcessorList, StoppingCriteriaList

    found: dict[str, Any] = {}
    penalised = decoding.presence_penalty or decoding.frequency_penalty
    processors = [*([_penalties(decoding, prompt_tokens)] if penalised else []), *form]
    if processors:
        found["logits_processor"] = LogitsProcessorList(processors)
    if decoding.stop:
        found["stopping_criteria"] = StoppingCriteriaList([_stop(decoding.stop, tokenizer, prompt_tokens)])
    return found


def cut(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """`text` before the first stop string, and whether it holds one."""
    places = [place for word in stop if word and (place := text.find(word)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _penalties(decoding: Decoding, prompt_tokens: int) -> Any:
    import torch
    from transformers import LogitsProcessor

    class Penalties(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            answer = input_ids[:, prompt_tokens:]
            counts = torch.zeros_like(scores).scatter_add_(1, answer, torch.ones_like(answer, dtype=scores.dtype))
            return scores - decoding.frequency_penalty * counts - decoding.presence_penalty * (counts > 0)

    return Penalties()


def _stop(words: tuple[str, ...], tokenizer: Any, prompt_tokens: int) -> Any:
    import torch
    from transformers import StoppingCriteria

    window = max(map(len, words)) + _TAIL

    class Stop(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            tail = tokenizer.decode(input_ids[0, prompt_tokens:][-window:], skip_special_tokens=True)
            return torch.tensor([any(word in tail for word in words)], device=input_ids.device)

    return Stop()
