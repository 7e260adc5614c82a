"""A small random checkpoint in InternVL's own format, whose configuration is code that comes with it.

Example:
    write(tmp_path / "internvl-chat")
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from viubench.engines import tiny_checkpoints

SIDE, PATCH = 56, 14
WIDTH, INNER, LAYERS = 64, 128, 2
TOKENS = (SIDE // PATCH) ** 2 // 4
"""Of a frame."""

CODE = """
from transformers import PretrainedConfig, PreTrainedModel, Qwen2Config


class Vision(PretrainedConfig):
    model_type = "intern_vit_6b"


class Config(PretrainedConfig):
    model_type = "internvl_chat"

    def __init__(self, vision_config=None, llm_config=None, **rest):
        super().__init__(**rest)
        self.vision_config, self.llm_config = Vision(**(vision_config or {})), Qwen2Config(**(llm_config or {}))


class Model(PreTrainedModel):
    config_class = Config
"""

TEMPLATE = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
{% for part in message['content'] %}{{ part['text'] if part['type'] == 'text' else '<' + part['type'] + '>\\n' }}\
{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

VISION = {
    "hidden_act": "gelu", "hidden_size": WIDTH, "image_size": SIDE, "intermediate_size": INNER, "layer_norm_eps": 1e-6,
    "norm_type": "layer_norm", "num_attention_heads": 2, "num_channels": 3, "num_hidden_layers": LAYERS,
    "patch_size": PATCH, "qk_normalization": False, "qkv_bias": True, "initializer_factor": 1.0,
}  # fmt: skip


def write(folder: Path) -> None:
    """Write the checkpoint; its language model and tokenizer are those of a tiny checkpoint in transformers' format."""
    other = folder.with_name("internvl")
    tiny_checkpoints.write(other, family="internvl")
    folder.mkdir()
    text = json.loads((other / "config.json").read_text())["text_config"]
    config = {
        "architectures": ["InternVLChatModel"], "model_type": "internvl_chat", "downsample_ratio": 0.5,
        "dynamic_image_size": True, "force_image_size": SIDE, "min_dynamic_patch": 1, "max_dynamic_patch": 12,
        "ps_version": "v2", "select_layer": -1, "template": "internvl2_5", "use_thumbnail": True,
        "auto_map": {"AutoConfig": "internvl_chat.Config", "AutoModel": "internvl_chat.Model"},
        "llm_config": text | {"architectures": ["Qwen2ForCausalLM"]}, "vision_config": VISION,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps({"crop_size": SIDE, "size": SIDE}))
    (folder / "internvl_chat.py").write_text(CODE)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    shutil.copy(other / "generation_config.json", folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        settings = (other / name).read_text().replace('"<video>"', '"<|video_pad|>"')
        (folder / name).write_text(settings.replace('"processor_class"', '"unused"'))
    _weights(other, folder)


def _weights(other: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    draws = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Any:
        return torch.randn(*shape, generator=draws) * 0.2

    weights = {name: value for name, value in load_file(other / "model.safetensors").items() if "language_" in name}
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.class_embedding": (1, 1, WIDTH), "embeddings.patch_embedding.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.patch_embedding.bias": (WIDTH,),
        "embeddings.position_embedding": (1, (SIDE // PATCH) ** 2 + 1, WIDTH),
    }  # fmt: skip
    for layer in range(LAYERS):
        linear = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH), "mlp.fc1": (INNER, WIDTH),
                  "mlp.fc2": (WIDTH, INNER)}  # fmt: skip
        here = f"encoder.layers.{layer}."
        shapes |= {f"{here}{name}.weight": shape for name, shape in linear.items()}
        shapes |= {f"{here}{name}.bias": shape[:1] for name, shape in linear.items()}
        shapes |= {f"{here}{name}": (WIDTH,) for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias",
                                                          "ls1", "ls2")}  # fmt: skip
    weights |= {f"vision_model.{name}": drawn(*shape) for name, shape in shapes.items()}
    for name, shape in {"0": (4 * WIDTH,), "1": (WIDTH, 4 * WIDTH), "3": (WIDTH, WIDTH)}.items():
        weights |= {f"mlp1.{name}.weight": drawn(*shape), f"mlp1.{name}.bias": drawn(shape[0])}
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
