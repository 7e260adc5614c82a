"""What is used of TRL, which is told that there is no vLLM: it would import it, start its threads, and not use it.

Example:
    from trainer.trl_imports import GRPOConfig, GRPOTrainer
"""

from importlib import import_module
from typing import Any

available: Any = import_module("trl.import_utils")
available.is_vllm_available = lambda *_, **__: False

from trl import GRPOConfig, GRPOTrainer  # noqa: E402
from trl.trainer.utils import add_fused_lm_head, split_tensor_dict  # noqa: E402

__all__ = ["GRPOConfig", "GRPOTrainer", "add_fused_lm_head", "split_tensor_dict"]
