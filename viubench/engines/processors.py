"""A checkpoint's transformers processor: opened without surprises, and fed frames that it leaves as they are.

Example:
    inputs = encode(open_processor(folder), "<video>\\nHow many circles?", [video])
    inputs["video_grid_thw"]  # tensor([[4, 4, 4]]): 8 frames of 64 x 64 pixels
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from viubench.engines import prompts, templates
from viubench.engines.families import FAMILIES, Family
from viubench.engines.prompts import Showing
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Chat
from viubench.video import timestamps
from viubench.video.frames import VideoInput

AUTO_CLASSES = ("AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoModelForCausalLM", "AutoModel")

TRUST = "read that code; if you trust it: --engine-arg trust_remote_code=true"

_FAULTS = (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError, AssertionError, NameError)
"""What processors raise for frames that they do not take."""


def require_trust(folder: str, trust: bool, hint: str = TRUST) -> None:
    """Raise ViubenchError where a checkpoint's own code is needed and the user has not asked to run it."""
    if trust:
        return
    try:
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(config, dict) or not config.get("auto_map"):
        return
    from transformers import CONFIG_MAPPING

    if config.get("model_type") not in CONFIG_MAPPING:
        raise needs_trust(folder, hint)


def needs_trust(folder: str, hint: str = TRUST) -> ViubenchError:
    """What to tell the user whose checkpoint brings its own code."""
    said = "the checkpoint needs code of its own (auto_map in config.json), which is not run"
    return ViubenchError(said, where=folder, hint=hint)


def open_processor(folder: str, trust: bool = False, hint: str = TRUST) -> Any:
    """The processor of a checkpoint folder; never asks on the terminal whether its code may run. `hint` is what to do
    where it must.

    Raises:
        ViubenchError: a package is missing, or the files do not fit this transformers.
    """
    from transformers import AutoProcessor

    require_trust(folder, trust, hint)
    try:
        return AutoProcessor.from_pretrained(folder, trust_remote_code=trust)
    except ImportError as error:
        raise missing_package(error, folder) from error
    except Exception as error:  # whatever the loaders raise, the user needs the reason, not the trace
        if "trust_remote_code" in str(error):
            raise needs_trust(folder, hint) from error
        raise ViubenchError(
            f"transformers could not open the processor: {' '.join(str(error).split())[:400]}",
            where=folder,
            hint="copy the processor's files from the model it was made from",
        ) from error


def open_model(folder: str, trust: bool = False, **settings: Any) -> Any:
    """The model of a checkpoint folder, by whatever class transformers has for models that see and write text.

    Raises:
        ViubenchError: a package is missing, no class knows the architecture, or the weights do not fit or
            are not all there.
    """
    import transformers

    require_trust(folder, trust)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust)
        autos = [getattr(transformers, name) for name in AUTO_CLASSES if hasattr(transformers, name)]
        remote = getattr(config, "auto_map", None) or {}
        fits = [auto for auto in autos if type(config) in auto._model_mapping or (trust and auto.__name__ in remote)]
        auto = (fits or autos)[0]
        account = {"output_loading_info": True} if _gives_account(auto, config) else {}
        model = auto.from_pretrained(
            folder, config=config, use_safetensors=True, trust_remote_code=trust, **account, **settings
        )
        model, loaded = model if account else (model, {})
    except ImportError as error:
        raise missing_package(error, folder) from error
    except Exception as error:  # whatever the loaders raise, the user needs the reason, not the trace
        raise ViubenchError(
            f"transformers could not open the model: {' '.join(str(error).split())[:400]}",
            where=folder,
            hint="check that this transformers knows the architecture and that the memory is enough",
        ) from error
    part = "thinker" if hasattr(model, "thinker") else ""  # an omni model thinks in one part and talks in another
    if drawn := sorted(name for name in loaded.get("missing_keys", ()) if name.startswith(part)):
        raise ViubenchError(
            f"{len(drawn)} weights are not in the checkpoint, and would be random ({drawn[0]})",
            where=folder,
            hint="copy it again from the model it was made from",
        )
    return getattr(model, part) if part else model


def _gives_account(auto: Any, config: Any) -> bool:
    """Whether a model's class says which weights it did not find; one with a loader of its own cannot be asked."""
    model = auto._model_mapping.get(type(config), None)
    return isinstance(model, type) and "from_pretrained" not in vars(model)


def media_ids(config: Any) -> frozenset[int]:
    """The tokens that stand for what the vision encoder makes."""
    parts = [config, getattr(config, "thinker_config", None)]
    names = [f"{medium}_token_{kind}" for medium in ("image", "video") for kind in ("id", "index")]
    found = [getattr(part, name, None) for part in parts for name in [*names, "media_placeholder_token_id"]]
    return frozenset(token for token in found if isinstance(token, int))


def is_tokenizer(processor: Any) -> bool:
    """Whether what transformers opened as a processor knows of text alone."""
    return all(getattr(processor, f"{medium}_processor", None) is None for medium in ("image", "video"))


def showing(processor: Any, family: Family, sure: bool, kind: str = "hf") -> Showing:
    """How the engine `kind` shows videos with this processor and chat template; of a family that is not `sure`, the
    best way that the processor takes.

    Raises:
        ViubenchError: the template has no place for what the model is shown.
    """
    if is_tokenizer(processor):
        raise ViubenchError("the model takes neither videos nor pictures: its processor is a tokenizer alone")
    found = Showing.of(family, kind)
    if found.medium == "video" and not templates.has_slot(processor, "video"):
        if sure:
            raise ViubenchError("the chat template has no place for a video", hint=templates.COPY)
        found = Showing("images")
    if found.medium == "images":
        if not templates.has_slot(processor, "images"):
            raise ViubenchError("the chat template has no place for a video or a picture", hint=templates.COPY)
        return Showing("images", words=not templates.keeps_order(processor))
    return found


def asked(processor: Any, family: Family, found: Showing, size: tuple[int, int]) -> tuple[Family, Showing]:
    """How a processor that no table knows takes frames of `size` (height, width): tried on drawn ones, as a video and
    as images, as they are and resized by it; times that it writes in a form of some family need no words.

    Raises:
        ViubenchError: it takes them in no way.
    """
    refused = ""
    for showing in dict.fromkeys([found, Showing("images", words=not templates.keeps_order(processor))]):
        for resizes in ((), ("video", "images")):
            row, video = replace(family, resizes=resizes), drawn(*size)
            try:
                inputs = encode(processor, prompts.MARK, [video], family=row, showing=showing)
            except (EngineError, ViubenchError) as error:
                refused = refused or str(error)
                continue
            return _stamped(processor, row, showing, inputs, video)
    raise ViubenchError(f"the model takes no frames of {size[0]} x {size[1]} pixels: {refused}")


def _stamped(processor: Any, row: Family, showing: Showing, inputs: Any, video: VideoInput) -> tuple[Family, Showing]:
    text = processor.tokenizer.decode(inputs["input_ids"][0])
    group = getattr(getattr(processor, "video_processor", None), "temporal_patch_size", 1)
    stamps = {each.stamp: None for each in FAMILIES.values() if each.stamp} if showing.medium == "video" else {}
    for stamp in stamps:
        if timestamps.missing(text, stamp.texts(video.times, group), stamp.pattern) is None:
            return replace(row, stamp=stamp), replace(showing, words=False)
    return row, showing


def missing_package(error: ImportError, folder: str) -> ViubenchError:
    """What to tell the user whose environment lacks what a model needs."""
    reason = " ".join(str(error).split())[:300]
    name = error.name or next((word.strip("`'\"") for word in reason.split() if word.startswith(("`", "'"))), "")
    return ViubenchError(f"the model needs a package that is not installed: {reason}", where=folder,
                         hint=f"pip install {name}" if name else "install that package")  # fmt: skip


def encode(
    processor: Any,
    question: str,
    videos: Sequence[VideoInput],
    *,
    family: Family = FAMILIES["qwen3_vl"],
    showing: Showing | None = None,
    chat: Chat | None = None,
) -> Any:
    """Model inputs of one question on the CPU (transformers BatchFeature of tensors, batch of 1).

    Frames are never sampled or resized again: their sides must be as `families.frame_format` says.

    Raises:
        EngineError: frames that the processor does not take, or fewer marks in the question than videos.
        ViubenchError: a chat template that does not fit.
    """
    prompt = prompt_text(processor, question, videos, family=family, showing=showing, chat=chat)
    return encode_text(processor, prompt, videos, family=family, showing=showing)


def prompt_text(
    processor: Any,
    question: str,
    videos: Sequence[VideoInput],
    *,
    family: Family = FAMILIES["qwen3_vl"],
    showing: Showing | None = None,
    chat: Chat | None = None,
) -> str:
    """The prompt before the processor fills in the vision tokens."""
    inserts = (showing or Showing.of(family, "hf")).parts(videos)
    return prompts.render(processor, question, len(videos), chat=chat, inserts=inserts)


def encode_text(
    processor: Any,
    prompt: str,
    videos: Sequence[VideoInput],
    *,
    family: Family = FAMILIES["qwen3_vl"],
    showing: Showing | None = None,
    begins: bool = True,
) -> Any:
    """As `encode`, for a prompt that is already rendered, or a later piece of one, which `begins` nothing."""
    showing = showing or Showing.of(family, "hf")
    as_video = prompts.moving(videos) if showing.medium == "video" else []
    pictures = [video for video in videos if video.still or showing.medium == "images"]
    media: dict[str, Any] = {}
    if as_video:
        metas = [timestamps.metadata(video, ticks=family.ticks) for video in as_video]
        described = [{name: value for name, value in meta.items() if name != "do_sample_frames"} for meta in metas]
        frames = [video.pixels for video in as_video]
        media["videos"] = [frames] if family.nested else frames
        kept = {"do_resize": "video" in family.resizes, "do_sample_frames": False}
        media["videos_kwargs"] = {"video_metadata": described, **kept, **family.video}
    if pictures:
        media["images"] = [frame for video in pictures for frame in video.pixels]
        media["images_kwargs"] = {"do_resize": "images" in family.resizes, **family.images}
    text = {"add_special_tokens": begins and templates.adds_special_tokens(processor, prompt), **family.text}
    try:
        inputs = processor(text=[prompt], return_tensors="pt", text_kwargs=text, **media)
        if family.positions and "video_second_per_grid" in inputs:  # it takes one rate, not that of each video
            group = processor.video_processor.temporal_patch_size
            spaces = [group * timestamps.spacing(video) for video in as_video]
            inputs["video_second_per_grid"] = inputs["video_second_per_grid"].new_tensor(spaces)
        return inputs
    except _FAULTS as error:
        segments = _segments(processor, prompt, as_video) if not pictures and not family.once else []
        if segments:
            return _joined(
                [
                    encode_text(processor, piece, [video], family=family, showing=showing, begins=place == 0)
                    for place, (piece, video) in enumerate(segments)
                ]
            )
        lengths = list(dict.fromkeys(len(video) for video in as_video))
        if len(lengths) > 1:
            different = (
                f"the model takes several videos of equally many frames alone, not of {lengths[0]} and {lengths[1]}"
            )
            raise EngineError(different) from error
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise EngineError(f"the processor refused the request: {reason}") from error


def _segments(processor: Any, prompt: str, videos: Sequence[VideoInput]) -> list[tuple[str, VideoInput]]:
    """The prompt in pieces of one video each, for processors that stack several and so take equal lengths alone; none
    where they have equal lengths, or where their places cannot be told."""
    slot = getattr(processor, "video_token", None)
    if len({len(video) for video in videos}) < 2 or not slot or prompt.count(slot) != len(videos):
        return []
    before = prompt.split(slot)
    texts = [text + slot for text in before[:-1]]
    texts[-1] += before[-1]
    return list(zip(texts, videos, strict=True))


def _joined(parts: Sequence[Any]) -> Any:
    """The model inputs of pieces of one prompt, one after another along the side in which they differ: tokens along the
    text; frames that stand below their video as if of one video, since such models flatten the two."""
    import torch

    tokens = parts[0]["input_ids"].shape
    for name, first in parts[0].items():
        shapes = [part[name].shape for part in parts]
        usual = int(first.shape == tokens or first.dim() == 5)
        side = next((side for side, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1), usual)
        parts[0][name] = torch.cat([part[name] for part in parts], dim=side)
    return parts[0]


def drawn(height: int, width: int, frames: int = 4) -> VideoInput:
    """Frames of noise, to find out how a processor takes them; at times that no default would tell."""
    pixels = np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)
    times = tuple(61.5 + 1.5 * number for number in range(frames))
    return VideoInput(pixels, 2.0, tuple(round(2 * time) for time in times), times, 200, 100.0)
