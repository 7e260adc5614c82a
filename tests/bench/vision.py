"""Vision tokens that vLLM's prompts hold, whoever made them: sides are equal only where these are.

Example:
    counts = Counts()
    watch("checkpoints/qwen3-vl", counts)
    ...                 # answers of any front end of vLLM in this process
    counts.taken()      # {"request 0": 1024}, and begins anew
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PADS = ("video_token_id", "image_token_id")
"""What a checkpoint's config calls the tokens that stand for what is seen."""


@dataclass
class Counts:
    """Vision tokens by request, since they were last taken."""

    pads: frozenset[int] = frozenset()
    requests: dict[str, int] = field(default_factory=dict)

    def add(self, request: str, prompt: Any) -> None:
        if request not in self.requests and prompt:
            self.requests[request] = sum(token in self.pads for token in prompt)

    def taken(self) -> dict[str, int]:
        taken, self.requests = self.requests, {}
        return taken


SEEN = Counts()
"""Of this process. It stands here, since a module that is started as a program is another one when it is imported."""


@dataclass
class Written(Counts):
    """Counts of another process, which writes each into a file, in a line of its own."""

    path: Path = Path()

    def add(self, request: str, prompt: Any) -> None:
        if request not in self.requests and prompt:
            super().add(request, prompt)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{self.requests[request]}\n")

    @staticmethod
    def read(path: Path) -> list[int]:
        """All until now; none where no file is."""
        return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.exists() else []


def watch(model: str, counts: Counts) -> None:
    """Count from now on what is asked of the checkpoint in the folder `model`."""
    from vllm.outputs import RequestOutput

    config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
    counts.pads = frozenset(config[name] for name in PADS if name in config)
    made = RequestOutput.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        counts.add(self.request_id, self.prompt_token_ids)

    RequestOutput.__init__ = init
