"""The processor of a model that transformers has none for: checkpoints with code of their own, such as InternVL's.

Example:
    processor = opened(checkpoint, trust=True) or own(llm.renderer.get_mm_processor().info)

Their authors leave the processing of frames to the code of the model; vLLM has it in its own model code.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from viubench.engines import processors
from viubench.errors import ViubenchError


def opened(checkpoint: Mapping[str, Any], *, trust: bool) -> Any:
    """The processor as transformers opens it; None where it has none and vLLM has code for the architecture. Raises as
    `processors.open_processor`."""
    from vllm import ModelRegistry

    known = trust and checkpoint["architecture"] in ModelRegistry.get_supported_archs()
    try:
        found = processors.open_processor(checkpoint["path"], trust)
    except ViubenchError:
        if known:
            return None
        raise
    return None if known and processors.is_tokenizer(found) else found


def takes(processor: Any) -> frozenset[str]:
    """The arguments about frames that it knows."""
    parts = [getattr(processor, f"{medium}_processor", None) for medium in ("image", "video")]
    return frozenset(name for part in parts if part is not None for name in signature(type(part)).parameters)


def own(info: Any) -> Any:
    """vLLM's processor, by what an open engine knows of its model, with the tokenizer's chat template, which writes a
    question, and the texts in it that stand for media."""
    processor = info.get_hf_processor()
    processor.chat_template = getattr(processor, "chat_template", None) or processor.tokenizer.chat_template
    for medium in ("image", "video"):
        if not hasattr(processor, f"{medium}_token"):
            setattr(processor, f"{medium}_token", f"<{medium}>")
    return processor
