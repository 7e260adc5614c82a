"""transformers in this process.

Example:
    async with HfEngine("tiny-qwen3-vl", {}) as engine:
        response = await engine.generate(request)
"""

from viubench.engines.hf.engine import HfEngine, encode

__all__ = ["HfEngine", "encode"]
