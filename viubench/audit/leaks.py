"""What the files of a set give away: their names, tags, compression, and clocks in the picture.

Example:
    [finding.verdict for finding in (names(own), tags(own), compression(own), clocks(own))]
    # ['clean', 'clean', 'clean', 'clean']

A question counts once for each video. Built items show untouched sources, of which each serves every answer: they leak
nothing here, unless they were written out as files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

import numpy as np

from viubench.audit.association import ALPHA, number_told, told
from viubench.audit.sets import AuditSet, labels, span
from viubench.audit.videos import CHANGING
from viubench.schema import Sample
from viubench.schema.audit import AuditFinding, AuditVerdict

SHOWN = 10
FEWEST = 8
"""Videos with an interval, of which so many are needed to compare bits within and outside."""

MORE = 1.15
"""Bits within the intervals over those outside, typically, from which on (or below whose inverse) that is a trace."""

_WORD = re.compile(r"[a-z]+|\d+")


def words(path: str) -> list[str]:
    """The words and numbers of a name: "Red_Car-3b.mp4" holds red, car, 3 and b."""
    return _WORD.findall(str(PurePath(path).with_suffix("")).casefold())


def names(own: AuditSet) -> AuditFinding:
    """Whether names hold the right answer more often than a wrong one, or a word of theirs goes with an answer."""
    files = _by_file(own)
    if not files:
        return _finding("file names", own, "not checked", "no video files are named")
    named = _named(files)
    found = [f"{file} names {text!r}" for file, text in named]
    found += [line for kind in _kinds(files) for line in map(str, told({f: words(f) for f in files}, _of(files, kind)))]
    reason = f"{len(files)} names: no word of theirs goes with an answer"
    if found:
        reason = f"{len(files)} names: " + (f"{len(named)} hold the answer" if named else "words go with answers")
    return _finding("file names", own, "fault" if found else "clean", reason, found)


def tags(own: AuditSet) -> AuditFinding:
    """Whether a tag holds the right answer, or the value of a tag goes with an answer."""
    files = {file: sample for file, sample in _by_file(own).items() if own.known(sample)}
    if not files:
        return _finding("metadata", own, "not checked", "no video could be read")
    known = {file: facts.tags for file, sample in files.items() if (facts := own.known(sample))}
    traits = {file: [f"{key}={value}" for key, value in found.items() if key not in CHANGING]
              + [f"day={found.get('creation_time', '')[:10]}"] for file, found in known.items()}  # fmt: skip
    said = {file: " ".join(_WORD.findall(" ".join(found.values()).casefold())) for file, found in known.items()}
    found = [f"a tag of {file} holds {text!r}" for file, text in _named(files, said)]
    found += [line for kind in _kinds(files) for line in map(str, told(traits, _of(files, kind)))]
    reason = f"tags, codec, size and rate of {len(files)} videos: none goes with an answer"
    if found:
        reason = f"tags of {len(files)} videos go with answers, or hold them"
    return _finding("metadata", own, "fault" if found else "clean", reason, found)


def compression(own: AuditSet) -> AuditFinding:
    """Whether bits differ with the answer, or within the interval that is the answer."""
    files = {file: sample for file, sample in _by_file(own).items() if own.known(sample)}
    if not files:
        return _finding("compression", own, "not checked", "no video could be read")
    bits = {file: facts.bits for file, sample in files.items() if (facts := own.known(sample))}
    tests = {kind: number_told(bits, _of(files, kind)) for kind in _kinds(files)}
    found = [
        f"bits a pixel differ with the {kind}: p {test[0]:.1g}, {test[1]:.0%} of the variance of their ranks"
        for kind, test in tests.items()
        if test is not None
    ]
    shares = [share for file in own.videos.values() for share in file.spans if share > 0]
    trace = _trace(shares)
    found += [trace] if trace else []
    reason = f"bits a pixel of {len(files)} videos do not differ with the answer"
    if len(shares) >= FEWEST:
        reason += f", nor within the {len(shares)} intervals"
    elif any(span(sample) for sample in own.samples):
        reason += f"; {len(shares)} intervals are too few to compare bits within and outside"
    if found:
        reason = found[0] + ("; a busier moment has more bits too" if found[0] == trace else "")
    return _finding("compression", own, "fault" if found else "clean", reason, found[1:])


def clocks(own: AuditSet) -> AuditFinding:
    """Videos that may have a burnt-in clock: small things that move in front of others change as digits do."""
    known = {path: facts for (_, path), facts in own.videos.items()}
    found = sorted(path for path, facts in known.items() if facts.clock)
    if not known:
        return _finding("burnt-in clocks", own, "not checked", "no video could be read")
    reason = (
        f"{len(found)} of {len(known)} videos have a small region that changes as a clock's digits do: look at them"
    )
    return _finding("burnt-in clocks", own, "suspect" if found else "clean", reason, found)


def _trace(shares: list[float]) -> str:
    """What the bits within the intervals say, where they differ from those outside in nearly all videos."""
    from scipy.stats import wilcoxon

    if len(shares) < FEWEST:
        return ""
    logs = np.log(shares)
    typical = float(np.exp(np.median(logs)))
    if 1 / MORE < typical < MORE or wilcoxon(logs).pvalue >= ALPHA:
        return ""
    return f"within {len(shares)} intervals there are {typical:.2g} times the bits of outside"


def _by_file(own: AuditSet) -> dict[str, Sample]:
    """The one question of each video that has one answer; a video that serves several answers tells none."""
    files: dict[str, list[Sample]] = {}
    for sample in own.samples:
        if len(sample.clips) == 1 and sample.clips[0].path:
            files.setdefault(sample.clips[0].path, []).append(sample)
    return {file: asked[0] for file, asked in files.items() if len({str(labels(one)) for one in asked}) == 1}


def _kinds(files: Mapping[str, Sample]) -> list[str]:
    return list(dict.fromkeys(kind for sample in files.values() for kind in labels(sample)))


def _of(files: Mapping[str, Sample], kind: str) -> dict[str, str]:
    return {file: found[kind] for file, sample in files.items() if kind in (found := labels(sample))}


def _named(files: Mapping[str, Sample], said: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """The files whose name, or what is `said` of them, holds the right answer (or perturbation), where that is more
    often so than chance has it: a name may hold any of the options."""
    from scipy.stats import binom

    right: list[tuple[str, str]] = []
    tries, due = 0, 0.0
    for file, sample in files.items():
        text = f" {' '.join(words(file)) if said is None else said[file]} "
        found = labels(sample)
        options = [option.casefold() for option in sample.options] or [found.get("perturbation", "")]
        if not sample.options and (interval := span(sample)) is not None:
            options = [f"{interval[0]:g} {interval[1]:g}"]
        named = {option for option in options if (key := _spelled(option)) and f" {key} " in text}
        if not named:
            continue
        tries, due = tries + 1, due + len(named) / max(len(options), 1) * bool(sample.options)
        answer = found.get("answer text", options[0])
        if answer in named and len(named) == 1:
            right.append((file, answer))
    if not right:
        return []
    likely = due / tries
    return right if likely == 0 or float(binom.sf(len(right) - 1, tries, min(likely, 1.0))) < ALPHA else []


def _spelled(text: str) -> str:
    """A text as `words` would have it; "" for what is too short to be no accident."""
    spelled = " ".join(_WORD.findall(text.casefold()))
    return spelled if len(spelled) >= 3 else ""


def _finding(
    check: str, own: AuditSet, verdict: AuditVerdict, reason: str, examples: Iterable[str] = ()
) -> AuditFinding:
    return AuditFinding(check=check, where=own.name, verdict=verdict, reason=reason, examples=list(examples)[:SHOWN])
