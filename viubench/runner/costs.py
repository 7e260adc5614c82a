"""What a run asks of a server: requests, pictures, tokens and money, before it is started.

Example:
    >>> Costs(180, 8640, 4_100_000, 11_520, "by a rule", price_in=2.0, price_out=10.0).money
    8.3152
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from viubench.engines.image_tokens import RuleCounter, rule_of
from viubench.runner import preflight
from viubench.runner.config import EvalConfig
from viubench.runner.plan import Plan
from viubench.runner.preflight import Length


@dataclass(frozen=True)
class Costs:
    """Totals of a run; answers have `answer_tokens` at most. Prices are for a million tokens."""

    requests: int
    pictures: int
    prompt_tokens: int
    answer_tokens: int
    basis: str
    files: int = 0
    price_in: float | None = None
    price_out: float | None = None

    @property
    def money(self) -> float | None:
        """In the unit of the prices, at most; None where none was given."""
        if self.price_in is None and self.price_out is None:
            return None
        return (self.prompt_tokens * (self.price_in or 0) + self.answer_tokens * (self.price_out or 0)) / 1e6

    def lines(self) -> list[str]:
        """For a terminal."""
        shown = f"{self.files:,} video files" if self.files else f"{self.pictures:,} images"
        lines = [
            f"{self.requests:,} requests with {shown}: about {self.prompt_tokens:,} prompt tokens, "
            f"and at most {self.answer_tokens:,} answer tokens",
            self.basis,
        ]
        if self.files:
            lines.append("the tokens of the files are not counted: the server samples them itself")
        if self.money is not None:
            prices = f"{self.price_in or 0:g} and {self.price_out or 0:g} a million prompt and answer tokens"
            lines.append(f"at most about {self.money:,.2f}, at {prices}")
        return lines


def costs(plan: Plan, config: EvalConfig) -> Costs:
    """The totals of a run on a server; frame sizes are those of the frame cache, else the largest that may be."""
    counter = RuleCounter(rule_of(config.model_name or ""))
    lengths: Mapping[str, Length] = preflight.measure(plan, config.cache, counter)
    requests = pictures = prompt = answer = files = 0
    for sample in plan.samples:
        length, protocol = lengths[sample.id], plan.protocols[sample.task]
        times = protocol.decoding.samples
        requests += times
        pictures += times * length.pictures
        prompt += times * length.prompt
        answer += times * length.answer
        files += times * (protocol.media == "file")
    exact = sum(length.exact for length in lengths.values())
    sizes = f"frame sizes: measured for {exact} of {len(lengths)} samples, for the others the largest"
    basis = f"{sizes}; {counter.basis}; a server that takes whole videos may need less, as may a cache of prompts"
    return Costs(requests, pictures, prompt, answer, basis, files, config.price_in, config.price_out)
