"""Full weights split over the processes of one machine (FSDP2), for models whose training does not fit on one device.

Example:
    split(model)                      # each process keeps its part of every weight, gradient and optimiser moment
    gather(model)                     # the whole weights in every process, for forward and backward passes
    scatter(model)                    # back to the parts: `model.parameters()` are what the optimiser holds
    full = whole(parameter)           # one whole tensor; every process must call it

What fills a device when all weights are trained is their gradients and the optimiser's state, and those are split at
all times. The weights themselves are gathered once for the answers to a step's questions and once for its loss, rather
than layer by layer: decoding would gather them again for every token, and would have to go on in every process until
the longest answer of all ends.

Every function here does nothing, or the plain thing, with a model that is not split.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed.fsdp import FSDPModule


def split(model: Any) -> None:
    """Split a transformers Qwen-VL over the processes of the default group; do it before an optimiser is made.

    A backward pass leaves the sum of all processes' gradients, in their parts. It sends one message for each time a
    layer was used, so all processes must use the layers equally often (see `Ranks.level`): one prompt with a video and
    one continuation a pass, which is what training questions are.
    """
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(model.device.type, (torch.distributed.get_world_size(),))
    settings: dict[str, Any] = {
        "mesh": mesh,
        "reshard_after_forward": False,
        "mp_policy": MixedPrecisionPolicy(reduce_dtype=torch.float32),
    }
    for block in (*model.model.visual.blocks, *model.model.language_model.layers):
        fully_shard(block, **settings)
    fully_shard(model, **settings)
    model.set_reshard_after_backward(False)
    for part in _parts(model):
        part.set_gradient_divide_factor(1.0)  # losses are weighted by their share of all tokens: a sum, no mean
        part.set_force_sum_reduction_for_comms(True)
    for name in ("get_video_features", "get_image_features"):
        register_fsdp_forward_method(model, name)


def is_split(model: Any) -> bool:
    """Whether `split` was done to it; asked of a method of FSDP's, which then need not be imported for others."""
    return hasattr(model, "unshard")


def gather(model: Any) -> None:
    """Hold the whole weights until `scatter`; all processes must call it. Nothing is sent when they are there."""
    for part in _parts(model):
        part.unshard()


def scatter(model: Any) -> None:
    """Hold the own part of every weight alone: what changes the weights (optimiser, checkpoint) works on the parts."""
    for part in _parts(model):
        part.reshard()


def whole(tensor: Tensor) -> Tensor:
    """The tensor put together from its parts; itself where it is not split. All processes must call it."""
    if not hasattr(tensor, "full_tensor"):  # DTensor's, asked of without importing it
        return tensor
    full: Tensor = tensor.full_tensor()
    return full


def weights(model: Any, keep: bool) -> dict[str, Tensor]:
    """The whole weights by name, on the CPU; tied ones are one tensor. All processes must call it.

    Args:
        keep: False for a process that only lends its parts; it gets an empty dict.
    """
    found: dict[int, Tensor] = {}
    names: dict[str, int] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        names[name] = id(tensor)
        if id(tensor) not in found:
            full = whole(tensor.detach())
            found[id(tensor)] = full.cpu() if keep else full.new_empty(0)
    return {name: found[number] for name, number in names.items()} if keep else {}


def part_of(full: Tensor, like: Tensor) -> Tensor:
    """`full`, which every process holds, split as `like` is; itself where `like` is not split."""
    if not hasattr(like, "full_tensor"):
        return full
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(full.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _parts(model: Any) -> Iterator[FSDPModule]:
    """The modules whose weights are gathered together: blocks, and the model with what is in no block."""
    return (module for module in model.modules() if is_split(module)) if is_split(model) else iter(())
