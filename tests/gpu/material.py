"""What is measured on: checkpoints of random weights in Qwen3-VL's dimensions, clips, and items to train on.

Example:
    checkpoint(out="scratch/2b", shape="2b", device="cuda")     # seconds; 4 GB in bfloat16
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import decode, machine
from viubench.engines import tiny_checkpoints
from viubench.pretext.build import build
from viubench.schema import Recipe
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.frame_cache import FrameCache

ROPE = {"rope_type": "default", "rope_theta": 5_000_000.0, "mrope_section": [24, 20, 20], "mrope_interleaved": True}
TEXT = {"head_dim": 128, "num_key_value_heads": 8, "vocab_size": 151_936, "rope_parameters": ROPE}
VISION = {"num_heads": 16, "num_position_embeddings": 2304}
TEXT_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
VISION_SIZES = ("hidden_size", "intermediate_size", "depth", "out_hidden_size", "deepstack_visual_indexes")


def _shape(text: tuple[int, ...], vision: tuple[Any, ...], tied: bool) -> dict[str, Any]:
    sizes = TEXT | dict(zip(TEXT_SIZES, text, strict=True)), VISION | dict(zip(VISION_SIZES, vision, strict=True))
    return {"text_config": sizes[0], "vision_config": sizes[1], "tie_word_embeddings": tied}


SHAPES: dict[str, dict[str, Any]] = {
    "2b": _shape((2048, 6144, 28, 16), (1024, 4096, 24, 2048, [5, 11, 17]), tied=True),
    "8b": _shape((4096, 12_288, 36, 32), (1152, 4304, 27, 4096, [8, 16, 24]), tied=False),
    "tiny": {"text_config": {"vocab_size": 2048}, "tie_word_embeddings": True},
}
"""Changes to the tiny checkpoint's configuration; numbers of Qwen3-VL-2B-Instruct's and -8B-Instruct's config.json."""

ITEMS = {"task": "ground", "base": "viubench_ground_mirror", "n": 8}


def checkpoint(out: str, shape: str, device: str) -> dict[str, Any]:
    """Write a checkpoint folder in bfloat16, with the tiny tokenizer and processor; the embedding has more rows."""
    import torch
    from transformers import GenerationConfig

    folder = Path(out)
    model = without_weights(folder, shape).to_empty(device=device)
    model.tie_weights()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    model.generation_config = GenerationConfig.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"checkpoint": shape, "parameters": count, "GPU": gpu, "torch": torch.__version__}


def without_weights(folder: Path, shape: str) -> Any:
    """The model of a shape in bfloat16 on the meta device, after writing the tiny checkpoint into `folder`."""
    import torch
    from transformers import AutoConfig, Qwen3VLForConditionalGeneration

    tiny_checkpoints.write(folder)
    config = AutoConfig.from_pretrained(folder)
    settings = config.to_dict() | {"dtype": "bfloat16"}
    for name, changes in SHAPES[shape].items():
        settings[name] = settings[name] | changes if isinstance(changes, dict) else changes
    with torch.device("meta"):
        return Qwen3VLForConditionalGeneration(type(config)(**settings)).to(torch.bfloat16)


def clips(out: str, side: int, frames: int, train_side: int, clips: int) -> dict[str, Any]:
    """In folder `out`: `clips` of 300 frames of side x side pixels, and items over others of train_side."""
    folder = Path(out)
    (folder / "clips").mkdir(parents=True)
    decode.draw_hour(folder / "one.mp4", decode.SCENE_SECONDS, (side, side))
    drawn = (folder / "one.mp4").read_bytes()
    for number in range(clips):  # a free box of its own makes each another video to the frame cache
        box = (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
        (folder / "clips" / f"clip-{number:02d}.mp4").write_bytes(drawn + box)
    recipe = Recipe.model_validate({"recipe": "gpu", "items": [ITEMS], "sampling": {"frames": frames}})
    tasks, store = Catalogue().tasks_of(recipe), FrameCache(folder / "frames")
    for seed, split in enumerate(("train", "validation")):
        videos = folder / f"{split}-clips"
        synthetic.draw(videos, 1, seed=seed + 3, seconds=8.0, size=(train_side, train_side), fps=12)
        build(recipe, tasks, videos, folder / split, workers=1, cache=store)
    return {"clips": clips, "machine": machine.facts()}


def peak_gb() -> float:
    """Most memory in use on the GPU so far, or of the process without one, in 10^9 bytes."""
    import torch

    on_gpu = torch.cuda.is_available()
    return round(torch.cuda.max_memory_allocated() / 1e9 if on_gpu else machine.peak_mb() / 1e3, 1)
