"""What each engine is asked for under a protocol: its request beside the messages, by the engines' own translation.

Example:
    >>> requests(Protocol(protocol="p"))["server"]["temperature"]
    0.0
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from viubench.engines.hf import decoding as hf_decoding
from viubench.engines.server import parameters
from viubench.engines.server.arguments import Settings
from viubench.engines.vllm import sampling
from viubench.schema import Protocol

HOOKS = ("presence_penalty", "frequency_penalty", "stop")
"""What transformers' `generate` has no setting for, and gets as logits processors and stopping criteria."""


def requests(protocol: Protocol, seed: int = 0) -> dict[str, dict[str, Any]]:
    """By engine: vLLM's SamplingParams, the body sent to a vLLM server, transformers' `generate` (where it is
    installed). `seed` is that of one answer."""
    decoding, chat = protocol.decoding, protocol.chat
    found = {
        "vllm": sampling.sampling_values(decoding, chat, seed),
        "server": parameters.fields(decoding, chat, seed=seed, server="vllm", settings=Settings()),
    }
    if find_spec("transformers"):
        own = hf_decoding.config(decoding, None).to_diff_dict()
        hooks = {name: value for name in HOOKS if (value := getattr(decoding, name))}
        found["hf"] = {name: value for name, value in own.items() if name != "transformers_version"} | hooks
    return found
