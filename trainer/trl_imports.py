"""What is used of TRL, imported without its own vLLM client.

Example:
    from trainer.trl_imports import GRPOConfig, GRPOTrainer

TRL imports vLLM where it is installed, which takes seconds and starts its threads, and warns of versions it does not
know. Rollouts by vLLM are asked of our own engine, so TRL is told that there is none.
"""

from importlib import import_module
from typing import Any

available: Any = import_module("trl.import_utils")
available.is_vllm_available = lambda *_, **__: False

from trl import GRPOConfig, GRPOTrainer  # noqa: E402
from trl.trainer.utils import add_fused_lm_head, split_tensor_dict  # noqa: E402

__all__ = ["GRPOConfig", "GRPOTrainer", "add_fused_lm_head", "split_tensor_dict"]
