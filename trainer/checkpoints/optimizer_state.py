"""Optimizer state and random number generators as tensors and JSON.

Example:
    tensors, facts = optimizer_state(optimizer)   # to safetensors and JSON
    set_optimizer_state(optimizer, tensors, facts)

Nothing is pickled: a checkpoint from elsewhere cannot run code.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from trainer.model import fsdp
from viubench.errors import ViubenchError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

Tensors = dict[str, "Tensor"]


def optimizer_state(optimizer: Optimizer, keep: bool = True) -> tuple[Tensors, dict[str, Any]]:
    """The state of a torch optimizer, full also for sharded weights; all processes must call it.

    Returns:
        The tensors (none without `keep`), named `<number of the parameter>.<entry>` ("0.exp_avg", any shape and
        dtype), and the JSON part: `groups` (parameters as numbers) and `scalars` (entries that are no tensors).
    """
    import torch

    state = optimizer.state_dict()
    tensors, scalars = {}, {}
    for number, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                full = fsdp.full_tensor(value.detach())
                if keep:
                    tensors[f"{number}.{name}"] = full.cpu().contiguous()
            else:
                scalars[f"{number}.{name}"] = value
    return tensors, {"groups": state["param_groups"], "scalars": scalars}


def check_optimizer_state(optimizer: Optimizer, tensors: Tensors, facts: dict[str, Any], where: str) -> None:
    """Raises ViubenchError for other groups or settings, or a moment of another shape than its parameter."""
    groups = optimizer.state_dict()["param_groups"]
    shapes = {
        number: tuple(parameter.shape)
        for given, numbered in zip(optimizer.param_groups, groups, strict=True)
        for number, parameter in zip(numbered["params"], given["params"], strict=True)
    }
    own, saved = ([(set(group), group["params"]) for group in them] for them in (groups, facts["groups"]))
    same = own == saved
    for name, tensor in tensors.items():
        number = int(name.partition(".")[0])
        same = same and number in shapes and tuple(tensor.shape) in ((), shapes[number])
    if not same:
        raise ViubenchError(
            "the optimizer state is of other parameters",
            where=where,
            hint="resume with the configuration the checkpoint was trained with",
        )


def set_optimizer_state(optimizer: Optimizer, tensors: Tensors, facts: dict[str, Any]) -> None:
    """Restore what `optimizer_state` returned; call `check_optimizer_state` before."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for full, value in {**tensors, **facts["scalars"]}.items():
        number, _, name = full.partition(".")
        moment = getattr(value, "ndim", 0) > 0  # AdamW's step count is a scalar, and not sharded
        value = fsdp.shard_like(value, parameters[int(number)]) if moment else value
        state.setdefault(int(number), {})[name] = value
    groups = []
    for now, saved in zip(optimizer.param_groups, facts["groups"], strict=True):
        # JSON knows no tuples, and AdamW's betas are one.
        groups.append({name: tuple(v) if isinstance(now[name], tuple) else v for name, v in saved.items()})
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def seed_random(seed: int) -> None:
    """Seed the generators of torch (GPUs too), python and numpy, for libraries that draw from them."""
    import numpy as np
    import torch

    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def random_state() -> tuple[Tensors, dict[str, Any]]:
    """The generators of torch (`torch`, `cuda.0` ...: uint8 tensors) and of python and numpy (JSON)."""
    import numpy as np
    import torch

    on_gpus = {f"cuda.{n}": state for n, state in enumerate(torch.cuda.get_rng_state_all())}
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {"torch": torch.get_rng_state()} | on_gpus, {
        "python": [version, list(words), gauss],
        "numpy": [np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
    }


def set_random_state(tensors: Tensors, facts: dict[str, Any]) -> None:
    """Restore the generators, without those of GPUs that this machine lacks."""
    import numpy as np
    import torch

    torch.set_rng_state(tensors["torch"])
    for number in range(torch.cuda.device_count()):
        if (state := tensors.get(f"cuda.{number}")) is not None:
            torch.cuda.set_rng_state(state, number)
    version, words, gauss = facts["python"]
    random.setstate((version, tuple(words), gauss))
    keys, position, has_gauss, cached = facts["numpy"]
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_gauss, cached))
