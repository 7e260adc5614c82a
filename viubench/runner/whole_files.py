"""Runs whose server is given each video file, or its URL, and samples it itself (`media: file` in the protocol).

Example:
    require_whole_files(plan, "server")  # ViubenchError: 30 of 90 samples show changed or cut videos
    file_of(sample, plan)              # '/data/videos/pour.mp4'
"""

from __future__ import annotations

from viubench.errors import ViubenchError
from viubench.runner.plan import Plan
from viubench.schema import Clip, Sample
from viubench.video.content_hash import located


def by_file(sample: Sample, plan: Plan) -> bool:
    """Whether the sample's video is sent as a file."""
    return plan.protocols[sample.task].media == "file"


def require_whole_files(plan: Plan, kind: str, needs_media: bool = True) -> None:
    """Raise ViubenchError where a file is to be sent that an engine of that kind does not take, or that is not what a
    sample shows: one whole video."""
    sent = [sample for sample in plan.samples if by_file(sample, plan) and sample.clips]
    if not sent:
        return
    if kind != "server" and needs_media:
        hint = "leave media=file out, or ask a server: --base-url"
        raise ViubenchError(f"the {kind} engine takes frames, not files", where="media: file", hint=hint)
    other = [sample for sample in sent if not _one_whole_video(sample)]
    if other:
        raise ViubenchError(
            f"{len(other)} of {len(sent)} samples show changed, cut or several videos, which no file is; the first is "
            f"{other[0].id}",
            where="media: file",
            hint="leave transport=file out for these tasks",
        )


def file_of(sample: Sample, plan: Plan) -> str:
    """Absolute path or URL of the sample's video; raises MediaError."""
    (clip,) = sample.clips
    if is_url(clip):
        return clip.path
    ((_, path),) = located(clip, plan.roots[sample.task])
    return str(path)


def is_url(clip: Clip) -> bool:
    """Whether a clip is named by its address."""
    return clip.path.startswith(("http://", "https://"))


def _one_whole_video(sample: Sample) -> bool:
    if len(sample.clips) != 1 or sample.pretext is not None:
        return False
    clip = sample.clips[0]
    return not clip.frame_files and not clip.start and clip.end is None and clip.sampling is None
