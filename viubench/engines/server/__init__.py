"""Any OpenAI-compatible endpoint.

Example:
    async with ServerEngine(None, ["http://127.0.0.1:8000/v1"], {}) as engine:
        response = await engine.generate(request)
"""

from viubench.engines.server.engine import ServerEngine

__all__ = ["ServerEngine"]
