"""Writes a model as verl's FSDP training leaves it: one file of shards per process, its configuration beside them.

Example:
    $ torchrun --nproc-per-node 2 sharded.py tiny-qwen3-vl out/verl/global_step_2/actor
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from transformers import AutoModelForImageTextToText, AutoProcessor


def main(model: str, folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    mesh = init_device_mesh("cpu", (size,), mesh_dim_names=("fsdp",))
    opened = AutoModelForImageTextToText.from_pretrained(model, dtype="float32")
    shards = {name: distribute_tensor(value, mesh, [Shard(0)]) for name, value in opened.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(shards, folder / f"model_world_size_{size}_rank_{rank}.pt")
    if rank == 0:
        (folder / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 1, "world_size": size}))
        opened.config.save_pretrained(folder / "huggingface")
        opened.generation_config.save_pretrained(folder / "huggingface")
        AutoProcessor.from_pretrained(model).save_pretrained(folder / "huggingface")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
