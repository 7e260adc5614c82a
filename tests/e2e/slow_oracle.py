"""The command line with an oracle that looks at the frames and takes its time, so that a test can kill it half way."""

from __future__ import annotations

import asyncio

from viubench.cli import main
from viubench.engines.base import Request, Response
from viubench.engines.baselines import OracleEngine


async def generate(self: OracleEngine, request: Request) -> Response:
    await asyncio.sleep(0.02)
    return Response(request.sample.answer_text, "stop", {"frames": sum(len(video) for video in request.videos)})


if __name__ == "__main__":
    OracleEngine.needs_media = True
    OracleEngine.max_in_flight = 4
    OracleEngine.generate = generate  # type: ignore[method-assign]
    main()
