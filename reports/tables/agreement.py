"""How far two runs agree sample by sample, and why they differ: the same model through two engines should agree fully.

Example:
    for line in agreements(runs, labels(runs)):
        print(line.text)
    # a (vllm) and a (server): 66 of 90 answers equal; 24 differ: 24 were shown the same frames, sent as image/jpeg
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePath

import numpy as np
import pandas as pd

from reports.data.runs import RunData
from reports.html.format import points
from reports.tables.ranking import Pairing
from viubench.stats.paired_differences import Difference

MOST_PAIRS = 45
"""Pairs shown at most: those of ten runs."""


@dataclass(frozen=True)
class Agreement:
    """Two runs on the samples both answered.

    Attributes:
        shared: samples with a response in both runs.
        frames: of these, how many were shown the same pixels (equal frame hashes).
        prompts: how many had prompts of equal length in tokens.
        answers: how many have the same response text.
        reasons: why the others differ, each with the number of samples.
        found: the second's score minus the first's over the tasks both ran whole and alike.
    """

    first: str
    second: str
    shared: int
    frames: int
    prompts: int
    answers: int
    reasons: tuple[tuple[str, int], ...]
    found: Difference | None

    @property
    def flips(self) -> int | None:
        """Samples (or what a headline counts) whose score differs; None where the runs share no whole task."""
        return None if self.found is None else self.found.better + self.found.worse

    @property
    def noise(self) -> float | None:
        """Half the width of the 95 % interval of the difference: a smaller one between two models may be repetition
        alone. None where not known, or where no score differs."""
        return (self.found.high - self.found.low) / 2 if self.found and self.flips else None

    @property
    def text(self) -> str:
        """All of it in one sentence."""
        text = f"{self.first} and {self.second}: {self.answers} of {self.shared} answers equal"
        text += f", {self.frames} with equal frames, {self.prompts} with prompts of equal length"
        if self.reasons:
            text += "; different: " + ", ".join(f"{count} {reason}" for reason, count in self.reasons)
        if self.noise is not None and self.found is not None:
            noise = f"less than {points(self.noise)[1:]} points is noise"
            text += f"; {self.flips} of {self.found.n} scores differ: {noise}"
        return text


def agreements(runs: Sequence[RunData], names: Sequence[str], pairing: Pairing | None = None) -> list[Agreement]:
    """A line for each pair of runs of one model that answered common samples, the first `MOST_PAIRS` of them; `names`
    are the runs' labels.

    Two runs are of one model when its weights' fingerprint is the same, or its name where an engine knows no more.
    """
    pairing = pairing or Pairing(runs)
    models = [place for place, run in enumerate(runs) if run.kind == "model"]
    found: list[Agreement] = []
    for one, two in combinations(models, 2):
        first, second = runs[one], runs[two]
        if len(found) == MOST_PAIRS:
            break
        if not same_model(first, second):
            continue
        pairs = _answered(first).merge(_answered(second), on=["id", "number"], suffixes=("", "_other"))
        if len(pairs):
            name, other = (f"{names[place]} ({runs[place].results.engine})" for place in (one, two))
            shared = [task for task in first.results.tasks if pairing.difference(one, two, {task: 1.0})]
            difference = pairing.difference(one, two, {task: 1 / len(shared) for task in shared}) if shared else None
            found.append(_agreement(name, other, pairs, _sent(first) | _sent(second), difference))
    return found


def same_model(one: RunData, two: RunData) -> bool:
    """Whether two runs are of the same weights; by name where their fingerprints are not known."""
    prints = [run.manifest.model.get("fingerprint") for run in (one, two)]
    if all(prints):
        return prints[0] == prints[1]
    return PurePath(one.results.model).name == PurePath(two.results.model).name


def _answered(run: RunData) -> pd.DataFrame:
    """The answers with a response, in what two runs are compared by."""
    answered = run.samples[run.samples["response"].notna()]
    answered = answered.assign(number=answered.get("number", 0))
    return answered.reindex(
        columns=["id", "number", "response", "frames", "usage.prompt_tokens", "usage.shown_as_images"]
    )


def _agreement(
    first: str, second: str, pairs: pd.DataFrame, sent: set[str], difference: Difference | None
) -> Agreement:
    """One pair of runs; of a sample that differs the first cause that can be seen in the records."""
    same = pairs["response"] == pairs["response_other"]
    frames = (pairs["frames"] == pairs["frames_other"]).fillna(False)
    tokens = pairs["usage.prompt_tokens"], pairs["usage.prompt_tokens_other"]
    prompts = (tokens[0] == tokens[1]) | (tokens[0].isna() & tokens[1].isna())
    images = pairs[["usage.shown_as_images", "usage.shown_as_images_other"]].notna().any(axis=1)
    last = "had equal frames and prompts: only arithmetic differs"
    if sent:
        last = f"had equal frames and prompts, but the frames travelled as {' and '.join(sorted(sent))}"
    causes = {
        "were shown other frames": ~frames,
        "were sent as single images to one of the two": images,
        "had prompts of other lengths": ~prompts,
    }
    reason = np.select([cause[~same].to_numpy(bool) for cause in causes.values()], list(causes), last)
    reasons = tuple((str(why), int(count)) for why, count in Counter(reason).most_common())
    counts = len(pairs), int(frames.sum()), int(prompts.sum()), int(same.sum())
    return Agreement(first, second, *counts, reasons, difference)


def _sent(run: RunData) -> set[str]:
    """How a server run's frames were encoded when that loses something."""
    transport = str(run.manifest.engine.get("settings", {}).get("transport", ""))
    return {transport} if "jpeg" in transport else set()
