"""Engine arguments of vLLM for a checkpoint, a machine and a run; what the user gives goes first.

Example:
    >>> checkpoint = {"model_type": "qwen3_vl", "context": 262144, "cache_values": 256}
    >>> default_settings(checkpoint, on_cpu=True)["max_model_len"]
    32768
    >>> default_settings(checkpoint, on_cpu=False, needs=Needs(tokens=240_000))["max_model_len"]
    240000
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from viubench.engines import engine_args
from viubench.engines.base import Needs
from viubench.engines.families import family

MAX_VIDEOS = 12
MAX_STILLS = 64

CONTEXT = 32768
"""Tokens of context asked for, where the run needs no more and the model can take them: a longer one reserves memory
for nothing."""

BATCHED_TOKENS = 16384
"""Tokens computed at once, and the size of vLLM's cache of encoded videos, at the least: a smaller one drops a video
before its last question is asked, and vLLM's own default on a CPU (2,048) refuses 48 frames of 512 x 512."""

ALONE = {"max_num_seqs": 1, "enable_prefix_caching": False}
"""One request at a time, computed whole: the shapes of its matrices, hence its rounding, are its own."""
INVARIANT = {"batch_invariant": True, "enable_prefix_caching": False}
"""Many at a time, by kernels whose rounding does not depend on the batch."""


def in_flight(needs: Needs | None = None) -> int:
    """Requests given to the engine at once. Where answers are short it is busy with prompts, and a few fill it; long
    ones are decoded side by side, many in little more time than one."""
    answer = needs.answer if needs else 0
    return 16 if answer <= 256 else 64 if answer <= 2048 else 128


def default_settings(
    checkpoint: Mapping[str, Any], *, on_cpu: bool, needs: Needs | None = None, ranks: int = 1
) -> dict[str, Any]:
    """Engine arguments for a checkpoint on this machine; `--engine-arg` overrides each. `needs` is what the run asks of
    the engine at most, where that is known: never is more reserved than the model can take. `ranks`: GPUs that share
    the model."""
    needs = needs or Needs()
    context = max(CONTEXT, needs.tokens)
    context = min(checkpoint.get("context") or context, context)
    common: dict[str, Any] = {
        "max_model_len": context,
        "max_num_batched_tokens": max(BATCHED_TOKENS, needs.video),
        "limit_mm_per_prompt": media_limits(needs),
        "seed": 0,
        "generation_config": "vllm",  # the protocol says how answers are sampled, not the checkpoint's own defaults
        "trust_remote_code": False,
    }
    if needs.reasoning_parser:
        common["reasoning_parser"] = needs.reasoning_parser
    own = dict(family(checkpoint).start)
    if not on_cpu:
        # Each GPU encodes videos of its own, where the model can: shared among them, every layer waits for all.
        common |= {"mm_encoder_tp_mode": "data"} if ranks > 1 else {}
        return common | {"dtype": "auto"} | own
    eager = {"enforce_eager": True, "skip_mm_profiling": True}  # to measure the largest videos takes a CPU minutes
    # In pieces, a prompt whose answer is sampled with a seed ends the core: a generator on a CPU has no offset. A model
    # that wants pieces gets one prompt at a time, which is whole as well.
    whole: dict[str, Any] = {"max_num_batched_tokens": max(common["max_num_batched_tokens"], context)}
    whole |= {"max_num_seqs": 1} if own.get("enable_chunked_prefill") else {"enable_chunked_prefill": False}
    cache = {"kv_cache_memory_bytes": _cache(checkpoint, context)}
    return common | {"dtype": "float32"} | cache | eager | whole | own


def media_limits(needs: Needs) -> dict[str, dict[str, int]]:
    """Videos and pictures of one request at most, and the largest there are: vLLM makes a dummy of each when it starts,
    and the largest it could think of may fill the memory."""
    size = {"width": needs.width, "height": needs.height}
    return {
        "video": {"count": max(MAX_VIDEOS, needs.videos), "num_frames": needs.frames, **size},
        "image": {"count": max(MAX_STILLS, needs.videos * needs.frames), **size},  # a video may be shown as stills
    }


def _cache(checkpoint: Mapping[str, Any], context: int) -> int:
    """Bytes of key-value cache on a CPU: room for four full contexts in float32, at least 256 MiB, at most a quarter of
    the memory that is free now."""
    values, free = checkpoint.get("cache_values"), os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(min(2**32 if values is None else 4 * context * values * 4, free // 4), 2**28)


def typed(args: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Values as vLLM's own field types want them: a field of text keeps its text, others are read as JSON."""
    engine_args.refuse_unknown(args, {*fields, "max_in_flight"} - {"model"}, "vllm")
    texts = {name for name, kind in fields.items() if kind is str or str(kind) in ("str", "str | None")}
    return {name: value if name in texts else engine_args.as_json(value) for name, value in args.items()}
