"""Random weights of a tiny checkpoint, drawn from torch's own generator, and the form in which they are published.

Example:
    spread(model, tokenizer)  # in place: large weights, printable answers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from viubench.engines.tiny_checkpoints.tokenizers import READABLE

_SEEING = ("vision", "visual", "audio", "projector", "connector")


def spread(model: Any, tokenizer: Any) -> None:
    """Large weights, so that answers depend on the frames, and output rows for readable text alone.

    The usual standard deviation of 0.02 leaves a model this small with nearly equal logits: which token is largest
    would be decided by rounding, and two engines would disagree for no reason. The gains were chosen by experiment:
    attention must be sharp and the token's own embedding small, else it repeats one letter whatever it sees.
    """
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:  # experts are stacked: each has the inputs of its last dimension
            inputs = parameter.shape[-1] if "experts" in name else parameter[0].numel()
            parameter.normal_(0.0, inputs**-0.5)
        elif parameter.numel() == 1:  # a gate, shut where training begins
            parameter.fill_(1.0)
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    embedding.normal_(0.0, 0.3)
    parameters = {name: part for name, part in model.named_parameters() if not any(word in name for word in _SEEING)}
    normed = any(name.endswith("self_attn.q_norm.weight") for name in parameters)
    for name, parameter in parameters.items():
        if name.endswith("self_attn.q_norm.weight"):
            parameter.fill_(4.0)
        elif name.endswith("self_attn.q_proj.weight") and not normed:
            parameter.mul_(4.0)
        elif name.endswith(("self_attn.o_proj.weight", "mlp.down_proj.weight")):
            parameter.mul_(2.0)
    readable = set(tokenizer.convert_tokens_to_ids(tokenizer.tokenize(READABLE)))
    # A head that is the embedding as well must not be blind to the other tokens, only never say them.
    head[[row for row in range(len(head)) if row not in readable]] *= 0.05 if head is embedding else 0.0


def scale(model: Any, _: Any) -> None:
    """Weights whose size fits the few inputs of each layer; what is added to the residual stream begins small.

    The usual 0.02 is for layers ten times as wide: with it so small a model takes more than twice as long until its
    answers begin to depend on what it sees.
    """
    added = ("o_proj", "down_proj", "attn.proj", "linear_fc2")
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            size = 0.1 if "embed" in name and "patch" not in name else parameter[0].numel() ** -0.5
            parameter.normal_(0.0, size * 0.35 if any(part in name for part in added) else size)


def publish(path: Path, prefixes: Mapping[str, str], transposed: Sequence[str]) -> None:
    """Names and layouts as published: transformers 5 reads them, but writes others, which vLLM does not know.

    Args:
        prefixes: the beginnings of names, as written and as published.
        transposed: parts of the names of stacked matrices that are published with their last two dimensions changed.
    """
    from safetensors.torch import load_file, save_file

    published = {}
    for name, tensor in load_file(path).items():
        if any(part in name for part in transposed) and tensor.dim() > 2:
            tensor = tensor.transpose(-1, -2).contiguous()
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        published[prefixes.get(old, "") + name.removeprefix(old)] = tensor
    save_file(published, path, metadata={"format": "pt"})
