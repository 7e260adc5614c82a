"""vLLM in this process.

Example:
    async with VllmEngine("tiny-qwen3-vl", {}) as engine:
        response = await engine.generate(request)
"""

from viubench.engines.vllm.engine import VllmEngine

__all__ = ["VllmEngine"]
