"""Tiny checkpoint folders: random weights, no download, one for each family of video and image models.

Each answers nonsense, but it is a real model to every tool that opens one (vLLM, transformers, lmms-eval), so the
whole path from a video file to a score can run on any machine. `families.yaml` says what a family is made of.

There are two sizes: `SPEAKER` has large weights, so that what it writes depends on what it sees and is printable;
`LEARNER` (Qwen3-VL alone), of about one million parameters, has the small ones that training begins with, and a token
for each word of its prompts.

Example:
    >>> write(Path("tiny-qwen3-vl"))  # config, weights, tokenizer, processor, chat template: about 2 MB
    >>> write(Path("tiny-internvl"), family="internvl")
    >>> write(Path("base"), kind=LEARNER, texts=["When was it altered?", "0.2-3.8"])
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viubench.engines.tiny_checkpoints import tokenizers, weights
from viubench.engines.tiny_checkpoints.families import DEFAULT, LEARNER, SPEAKER, Family, Kind, find, names
from viubench.engines.tiny_checkpoints.tokenizers import READABLE, VOCABULARY
from viubench.errors import ViubenchError

__all__ = ["DEFAULT", "LEARNER", "READABLE", "SPEAKER", "VOCABULARY", "Kind", "names", "write"]


def write(
    out: Path, seed: int = 0, kind: Kind = SPEAKER, texts: Sequence[str] = (), *, family: str = DEFAULT
) -> None:
    """Write the checkpoint folder `out`, whole or not at all; equal seeds give equal weights on one version of torch.

    Args:
        texts: words that occur in them become tokens; everything else is spelled out in bytes. Digits stand alone.
        family: one of `names()`.

    Raises:
        ViubenchError: `out` holds files already, the family is unknown, or a package it needs is not installed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ViubenchError(f"{out} is not an empty folder", hint="name a folder that does not exist yet")
    parts = find(family, kind)
    try:
        import torch
        import transformers

        processor = _processor(parts, tokenizers.build(parts, texts))
    except ImportError as error:
        raise ViubenchError(
            f"a checkpoint needs transformers and torch ({error})", hint="pip install 'viubench[cpu]'"
        ) from error
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model_class = getattr(transformers, parts.model)
        model = model_class(model_class.config_class(**parts.configuration(processor.tokenizer)))
        model = model.to(torch.float32)
        (weights.spread if kind is SPEAKER else weights.scale)(getattr(model, "thinker", model), processor.tokenizer)
    ids = processor.tokenizer.convert_tokens_to_ids
    ends = ids([parts.end, *parts.ends])
    pad = ids(parts.pad)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=list(dict.fromkeys([*ends, pad])), pad_token_id=pad, **parts.sampling
    )
    _save(out, model, processor)


def _processor(parts: Family, tokenizer: Any) -> Any:
    """The family's processor, of the parts it publishes."""
    import transformers

    def make(entry: dict[str, Any] | None, **more: Any) -> Any:
        if entry is None:
            return None
        return getattr(transformers, entry["class"])(**{k: v for k, v in entry.items() if k != "class"}, **more)

    made = {
        "image_processor": make(parts.image),
        "video_processor": make(parts.video),
        "feature_extractor": make(parts.audio),
    }
    template = tokenizer.chat_template
    return make(
        parts.processor,
        tokenizer=tokenizer,
        chat_template=template,
        **{name: part for name, part in made.items() if part is not None},
    )


def _save(out: Path, model: Any, processor: Any) -> None:
    import torch

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
        whole = Path(aside) / out.name
        model.save_pretrained(whole)
        if hasattr(model, "speaker_map"):  # Qwen2.5-Omni asks for a voice, though it be mute
            torch.save({"Chelsie": {}}, whole / "spk_dict.pt")
        processor.save_pretrained(whole)
        path = whole / "tokenizer_config.json"  # with a class that transformers 4 and 5 know; 5 names one of its own
        settings = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(whole, out)
