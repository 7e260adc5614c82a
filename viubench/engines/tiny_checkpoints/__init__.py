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
from viubench.engines.tiny_checkpoints.families import DEFAULT, LEARNER, SPEAKER, Family, Kind, absent, find, names
from viubench.engines.tiny_checkpoints.tokenizers import READABLE, VOCABULARY
from viubench.errors import ViubenchError
from viubench.storage import output

__all__ = ["DEFAULT", "LEARNER", "READABLE", "SPEAKER", "VOCABULARY", "Kind", "absent", "names", "write"]


def write(out: Path, seed: int = 0, kind: Kind = SPEAKER, texts: Sequence[str] = (), *, family: str = DEFAULT) -> None:
    """Write the checkpoint folder `out`, whole or not at all; equal seeds give equal weights on one version of torch.

    Args:
        texts: words that occur in them become tokens; everything else is spelled out in bytes. Digits stand alone.
        family: one of `names()`.

    Raises:
        ViubenchError: `out` holds files already or cannot be written, the family is unknown, or a package it needs is
            not installed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ViubenchError(f"{out} is not an empty folder", hint="name a folder that does not exist yet")
    parts = find(family, kind)
    output.folder(out.parent, "--out")  # before torch is loaded
    try:
        processor = _processor(parts, tokenizers.build(parts, texts))
        model = _model(parts, kind, seed, processor.tokenizer)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise ViubenchError(
            f"a tiny {parts.name} needs a package that is not here: {reason}", hint="pip install 'viubench[cpu]'"
        ) from error
    _save(out, model, processor, parts)


def _model(parts: Family, kind: Kind, seed: int, tokenizer: Any) -> Any:
    """The family's model with weights drawn from `seed`, and how its answers are sampled."""
    import torch
    from transformers import GenerationConfig

    model_class = _class(parts.model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = model_class(model_class.config_class(**parts.configuration(tokenizer))).to(torch.float32)
        speaking = getattr(model, "thinker", model)  # the omni models answer in text with a part of theirs
        (weights.spread if kind is SPEAKER else weights.scale)(speaking, tokenizer)
    ids = tokenizer.convert_tokens_to_ids([parts.end, *parts.ends, parts.pad])
    model.generation_config = GenerationConfig(
        eos_token_id=list(dict.fromkeys(ids)), pad_token_id=ids[-1], **parts.sampling
    )
    return model


def _processor(parts: Family, tokenizer: Any) -> Any:
    """The family's processor, of the parts it publishes."""
    entries = {"image_processor": parts.image, "video_processor": parts.video, "feature_extractor": parts.audio}
    made = {name: _made(entry) for name, entry in entries.items() if entry is not None}
    return _made(parts.processor, tokenizer=tokenizer, chat_template=tokenizer.chat_template, **made)


def _made(entry: dict[str, Any], **more: Any) -> Any:
    settings = {name: value for name, value in entry.items() if name != "class"}
    return _class(entry["class"])(**settings, **more)


def _class(name: str) -> Any:
    import transformers

    if not hasattr(transformers, name):
        raise ViubenchError(
            f"transformers {transformers.__version__} has no {name}", hint="pip install -U transformers"
        )
    return getattr(transformers, name)


def _save(out: Path, model: Any, processor: Any, parts: Family) -> None:
    import torch

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
        whole = Path(aside) / out.name
        model.save_pretrained(whole)
        if parts.prefixes or parts.transposed:
            weights.publish(whole / "model.safetensors", parts.prefixes, parts.transposed)
        if hasattr(model, "speaker_map"):  # Qwen2.5-Omni asks for a voice, though it be mute
            torch.save({"Chelsie": {}}, whole / "spk_dict.pt")
        processor.save_pretrained(whole)
        path = whole / "tokenizer_config.json"  # with a class that transformers 4 and 5 know; 5 names one of its own
        settings = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(whole, out)
