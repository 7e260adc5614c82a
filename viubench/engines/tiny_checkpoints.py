"""A tiny Qwen3-VL checkpoint folder: random weights, no download.

It answers nonsense, but it is a real model to every tool that opens one (vLLM, transformers, lmms-eval), so the whole
path from a video file to a score can run on any machine. There are two: `SPEAKER` has large weights, so that what it
writes depends on what it sees and is printable (the output rows of all other bytes are zero); `LEARNER`, of about one
million parameters, has the small ones that training begins with, and a token for each word of its prompts.

Example:
    >>> write(Path("tiny-qwen3-vl"))  # config, weights, tokenizer, processor, chat template: about 2 MB
    >>> write(Path("base"), kind=LEARNER, texts=["When was it altered?", "0.2-3.8"])
"""

from __future__ import annotations

import json
import os
import string
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError

_NAMES = ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")
SPECIAL_TOKENS = tuple(f"<|{name}|>" for name in _NAMES)
CONTEXT_TOKENS = 32768


@dataclass(frozen=True)
class Kind:
    """Sizes of a tiny model: hidden width, layers, heads (`kv_heads` of keys and values)."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mrope: tuple[int, int, int]
    positions: int
    tied: bool
    smallest: int | None = None
    """Pixels below which its processor enlarges a picture or a video, where it resizes at all."""


SPEAKER = Kind(64, 2, 2, 1, 64, (12, 10, 10), positions=256, tied=False)
LEARNER = Kind(128, 4, 4, 2, 32, (8, 4, 4), positions=16, tied=True, smallest=32 * 32)
VOCABULARY = 1024  # at most so many tokens, bytes and special ones included

READABLE = string.digits + string.ascii_lowercase + " .,:-"

CHAT_TEMPLATE = """\
{%- macro show(content) -%}
{%- if content is string -%}{{ content }}{%- else -%}
{%- for part in content -%}
{%- if part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- elif part.type == 'image' or part.type == 'image_url' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\\n' + show(message.content) + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""


def write(out: Path, seed: int = 0, kind: Kind = SPEAKER, texts: Sequence[str] = ()) -> None:
    """Write the checkpoint folder `out`, whole or not at all; equal seeds give equal weights on one version of torch.

    Args:
        texts: words that occur in them become tokens; everything else is spelled out in bytes. Digits stand alone.

    Raises:
        ViubenchError: `out` holds files already, or transformers is not installed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ViubenchError(f"{out} is not an empty folder", hint="name a folder that does not exist yet")
    try:
        import torch
        from transformers import GenerationConfig, Qwen3VLForConditionalGeneration
    except ImportError as error:
        raise ViubenchError(
            f"a checkpoint needs transformers and torch ({error})", hint="pip install 'viubench[cpu]'"
        ) from error

    processor = _processor(kind, texts)
    tokenizer = processor.tokenizer
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(_config(tokenizer, kind)).to(torch.float32)
        (_spread_weights if kind is SPEAKER else _scale_weights)(model, tokenizer)
    end, pad = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=[end, pad], pad_token_id=pad)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
        whole = Path(aside) / out.name
        model.save_pretrained(whole)
        processor.save_pretrained(whole)
        path = whole / "tokenizer_config.json"  # with a class that transformers 4 and 5 know; 5 names one of its own
        settings = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(whole, out)


def _config(tokenizer: Any, kind: Kind) -> Any:
    from transformers import Qwen3VLConfig

    ids = dict(zip(SPECIAL_TOKENS, tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)), strict=True))
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": kind.hidden,
            "intermediate_size": 2 * kind.hidden,
            "num_hidden_layers": kind.layers,
            "num_attention_heads": kind.heads,
            "num_key_value_heads": kind.kv_heads,
            "head_dim": kind.head_dim,  # 32 is the smallest that vLLM's CPU attention takes
            "max_position_embeddings": CONTEXT_TOKENS,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": list(kind.mrope),
                "mrope_interleaved": True,
            },
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "dtype": "float32",
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "depth": 2,
            "num_heads": 2,
            "out_hidden_size": kind.hidden,
            "num_position_embeddings": kind.positions,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=kind.tied,
        dtype="float32",
    )


def _spread_weights(model: Any, tokenizer: Any) -> None:
    """Large weights, so that answers depend on the frames, and output rows for readable text alone.

    The usual standard deviation of 0.02 leaves a model this small with nearly equal logits: which token is largest
    would be decided by rounding, and two engines would disagree for no reason. The gains were chosen by experiment:
    attention must be sharp and the token's own embedding small, else it repeats one letter whatever it sees.
    """
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0.0, parameter[0].numel() ** -0.5)
    model.get_input_embeddings().weight.normal_(0.0, 0.3)
    for layer in model.model.language_model.layers:
        layer.self_attn.q_norm.weight.fill_(4.0)
        layer.self_attn.o_proj.weight.mul_(2.0)
        layer.mlp.down_proj.weight.mul_(2.0)
    readable = set(tokenizer.convert_tokens_to_ids(tokenizer.tokenize(READABLE)))
    head = model.get_output_embeddings().weight
    head[[row for row in range(len(head)) if row not in readable]] *= 0.0


def _scale_weights(model: Any, _: Any) -> None:
    """Weights whose size fits the few inputs of each layer; what is added to the residual stream begins small.

    The usual 0.02 is for layers ten times as wide: with it so small a model takes more than twice as long until its
    answers begin to depend on what it sees.
    """
    added = ("o_proj", "down_proj", "attn.proj", "linear_fc2")
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            size = 0.1 if "embed" in name and "patch" not in name else parameter[0].numel() ** -0.5
            parameter.normal_(0.0, size * 0.35 if any(part in name for part in added) else size)


def _processor(kind: Kind, texts: Sequence[str]) -> Any:
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    # Every published Qwen3-VL scales images like videos, and vLLM scales both by the image processor's numbers.
    half = [0.5, 0.5, 0.5]
    image, video = Qwen2VLImageProcessor(patch_size=16, image_mean=half, image_std=half), Qwen3VLVideoProcessor()
    if kind.smallest:  # other programs resize by these; trained on small frames, it must not be shown large ones
        for part in (image, video):
            part.size = {"shortest_edge": kind.smallest, "longest_edge": part.size["longest_edge"]}
    return Qwen3VLProcessor(image, _tokenizer(texts), video, chat_template=CHAT_TEMPLATE)


def _tokenizer(texts: Sequence[str]) -> Any:
    """One token per byte of UTF-8, so that any question can be written, and one per word of `texts`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    if texts:
        digits = pre_tokenizers.Digits(individual_digits=True)
        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        core.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
        size = VOCABULARY - len(SPECIAL_TOKENS)
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        core.train_from_iterator(sorted(texts), trainer)
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=CONTEXT_TOKENS,
        extra_special_tokens=[],
        chat_template=CHAT_TEMPLATE,
    )
