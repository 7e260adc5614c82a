"""Full weights sharded over the processes of one machine (FSDP2), for training that does not fit on one device.

Example:
    shard(model)      # each process keeps its shard of every weight, gradient and optimizer moment
    unshard(model)    # the full weights in every process, for forward and backward passes, until `reshard`

The weights are gathered once for the rollouts of a step and once for its loss, not layer by layer: decoding would
gather them again for every token. With a model that is not sharded every function here does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed.fsdp import FSDPModule


def shard(model: Any) -> None:
    """Shard a transformers Qwen-VL over the processes of the default group; do it before the optimizer is built.

    A backward pass sums all processes' gradients into their shards, so all must use the layers equally often.
    """
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    settings: dict[str, Any] = {
        "mesh": init_device_mesh(model.device.type, (torch.distributed.get_world_size(),)),
        "reshard_after_forward": False,
        "mp_policy": MixedPrecisionPolicy(reduce_dtype=torch.float32),
    }
    for block in (*model.model.visual.blocks, *model.model.language_model.layers):
        fully_shard(block, **settings)
    fully_shard(model, **settings)
    model.set_reshard_after_backward(False)
    for part in _fsdp_modules(model):
        part.set_gradient_divide_factor(1.0)  # losses are weighted by their share of all tokens: sum
        part.set_force_sum_reduction_for_comms(True)
    for name in ("get_video_features", "get_image_features"):
        register_fsdp_forward_method(model, name)


def is_sharded(model: Any) -> bool:
    """Whether `shard` was called on it; checked by a method of FSDP's, which is not imported for others."""
    return hasattr(model, "unshard")


def unshard(model: Any) -> None:
    """Hold the full weights until `reshard`; all processes must call it. Nothing is sent when they are there."""
    for part in _fsdp_modules(model):
        part.unshard()


def reshard(model: Any) -> None:
    """Hold the own shard of every weight alone: the optimizer and checkpoints work on the shards."""
    for part in _fsdp_modules(model):
        part.reshard()


def full_tensor(tensor: Tensor) -> Tensor:
    """The tensor put together from its shards; itself where it is not sharded. All processes must call it."""
    if not hasattr(tensor, "full_tensor"):  # DTensor's, checked without importing it
        return tensor
    full: Tensor = tensor.full_tensor()
    return full


def full_state_dict(model: Any, keep: bool) -> dict[str, Tensor]:
    """The full weights by name, on the CPU; tied ones are one tensor; {} without `keep`. All processes must call it."""
    tensors: dict[int, Tensor] = {}
    names: dict[str, int] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        names[name] = id(tensor)
        if id(tensor) not in tensors:
            full = full_tensor(tensor.detach())
            tensors[id(tensor)] = full.cpu() if keep else full.new_empty(0)
    return {name: tensors[number] for name, number in names.items()} if keep else {}


def shard_like(full: Tensor, like: Tensor) -> Tensor:
    """`full`, which every process holds, sharded as `like` is; itself where `like` is not sharded."""
    if not hasattr(like, "full_tensor"):
        return full
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(full.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _fsdp_modules(model: Any) -> Iterator[FSDPModule]:
    """The modules whose weights are gathered together: the blocks, and the model with what is in none."""
    return (module for module in model.modules() if is_sharded(module)) if is_sharded(model) else iter(())
