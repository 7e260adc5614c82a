"""What a run will need, as arithmetic: bytes against what there is, seconds from rates that say what they rest on.

Example: 16 prompts of 4,300 tokens by an 8-billion-parameter model on a GPU of 139 GiB.
    >>> memory = Memory(available=int(0.9 * 139 * 2**30), weights=16 * 10**9, token=147_456)
    >>> memory.sequences(4_364)
    183
    >>> round(engine_seconds(parameters=8e9, tokens=16 * 4_300, flops=4e14), 2)
    2.75
"""

from __future__ import annotations

from dataclasses import dataclass

GPU_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "H20": 148e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40": 181e12,
    "L4": 121e12,
}
"""Dense bfloat16 operations a second by the makers' data sheets; the first name that a GPU's name holds counts."""

OTHER_GPU_FLOPS = 100e12
USED_SHARE = 0.4
"""Of those a long prefill gets out about so much."""

REQUEST_SECONDS = 0.02
"""One thread's work on a request besides the model: rendering, hashing, cutting frames into patches."""


@dataclass(frozen=True)
class Memory:
    """Bytes an engine has and takes.

    Attributes:
        available: what the engine may take, of the GPU or of the machine.
        weights: the model.
        token: key-value cache of one token; 0 where it is not known.
        cache: what is set aside for the cache; None where it gets all that is left.
        other: what lives beside in the same memory: processed videos, frames held. Activations are not counted.
    """

    available: int
    weights: int
    token: int
    cache: int | None = None
    other: int = 0

    @property
    def room(self) -> int:
        """Bytes for the key-value cache; below 0 where the rest alone is too much."""
        left = self.available - self.weights - self.other
        return left if self.cache is None else min(self.cache, left)

    @property
    def needed(self) -> int:
        """Bytes taken where the cache is set aside; without it, the rest."""
        return self.weights + self.other + (self.cache or 0)

    def sequences(self, tokens: int) -> int | None:
        """How many sequences of so many tokens are held at once; None where a token's bytes are not known."""
        return max(self.room, 0) // (self.token * tokens) if self.token and tokens else None


def engine_seconds(parameters: float, tokens: float, flops: float) -> float:
    """Seconds for `tokens` through a dense model: 2 operations a parameter and token, `flops` of them a second."""
    return 2 * parameters * tokens / flops


def decode_seconds(videos: int, each: float, workers: int) -> float:
    """Seconds to decode `videos` of which one takes a worker `each` seconds."""
    return videos * each / workers


def gpu_flops(name: str) -> tuple[float, str]:
    """Operations a second that a GPU of this name gets out, and what that is based on."""
    for known, peak in GPU_FLOPS.items():
        if known in name:
            return peak * USED_SHARE, f"{USED_SHARE:.0%} of a {known}'s {peak / 1e12:g} TFLOP/s"
    return OTHER_GPU_FLOPS * USED_SHARE, f"{USED_SHARE:.0%} of {OTHER_GPU_FLOPS / 1e12:g} TFLOP/s, a guess for this GPU"


def cpu_flops() -> tuple[float, str]:
    """The same of this machine's processor: a product of matrices, timed now (about 0.1 s)."""
    import time

    import numpy as np

    size = 512
    one = np.ones((size, size), np.float32)
    one @ one
    began = time.perf_counter()
    for _ in range(8):
        one @ one
    peak = 8 * 2 * size**3 / (time.perf_counter() - began)
    return peak * USED_SHARE, f"{USED_SHARE:.0%} of {peak / 1e9:.0f} GFLOP/s, a matrix product timed just now"
