"""The command line with a model that knows as much as its checkpoint's config.json says, and takes its time.

All the rest is real, the child that a watch starts too: only what transformers would load and generate is not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from hashlib import blake2b
from pathlib import Path

from viubench.cli import main
from viubench.engines.base import Request, Response
from viubench.engines.hf import HfEngine
from viubench.watch import loop


async def generate(self: HfEngine, request: Request) -> Response:
    config = json.loads((Path(self.checkpoint["path"]) / "config.json").read_bytes())
    await asyncio.sleep(config["pace"])
    draw = blake2b(request.sample.id.encode(), digest_size=2).digest()
    knows = int.from_bytes(draw, "little") < 2**16 * config["skill"]
    return Response(request.sample.answer_text if knows else "I cannot tell", "stop")


if __name__ == "__main__":
    HfEngine.needs_media = False
    HfEngine._open = lambda self: None  # type: ignore[method-assign]
    HfEngine.generate = generate  # type: ignore[method-assign]
    loop.PROGRAM = (sys.executable, __file__)
    main()
