"""verl's own forward pass, fused kernels included, on prompts of ours: the log-probs of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import verl_exports
from transformers import AutoModelForImageTextToText
from verl.models.transformers.monkey_patch import apply_monkey_patch
from verl.utils.tokenizer import hf_processor

from trainer.dataset import Questions


def test_fused_kernels_give_the_log_probs_of_the_plain_model(
    questions: Questions, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.models.qwen3_vl.modeling_qwen3_vl as modeling

    model = AutoModelForImageTextToText.from_pretrained(tiny_model, dtype="float32").eval()
    processor = hf_processor(str(tiny_model))
    cases = [inputs(processor, model, sample, videos) for sample, videos in verl_exports.asked(questions, 1)]
    with torch.no_grad():
        plain = [model(**case).logits.log_softmax(-1) for case in cases]
    for name in ("Qwen3VLModel", "Qwen3VLForConditionalGeneration"):  # verl replaces them for the whole process
        monkeypatch.setattr(getattr(modeling, name), "forward", getattr(modeling, name).forward)
    monkeypatch.setattr(
        modeling.Qwen3VLVisionModel,
        "fast_pos_embed_interpolate",
        modeling.Qwen3VLVisionModel.fast_pos_embed_interpolate,
    )
    apply_monkey_patch(model, use_remove_padding=False, use_fused_kernels=True, fused_kernels_backend="torch")
    for case, logprobs in zip(cases, plain, strict=True):
        del case["mm_token_type_ids"]
        expected = logprobs[0, :-1].gather(1, case["input_ids"][0, 1:, None])[:, 0]
        with torch.no_grad():
            fused = model(**case, temperature=1.0).log_probs[0, :-1]
            grey = model(**case | {"pixel_values_videos": 0 * case["pixel_values_videos"]}, temperature=1.0).log_probs
        assert (fused - expected).abs().max() < 1e-5
        assert (grey[0, :-1] - expected).abs().max() > 1e-3, "the frames matter"


def inputs(processor: Any, model: Any, sample: Any, videos: Any) -> dict[str, Any]:
    """A question and its true answer as the model takes them."""
    tokens = verl_exports.written_out(processor, sample.question, videos)
    answer = processor.tokenizer(sample.answer_text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([tokens + answer])
    frames = processor.video_processor(
        [video.pixels for video in videos], do_resize=False, do_sample_frames=False, return_tensors="pt"
    )
    kinds = 2 * (ids == processor.video_token_id).int()
    mask, grid = torch.ones_like(ids), frames["video_grid_thw"]
    places, _ = model.model.get_rope_index(ids, video_grid_thw=grid, mm_token_type_ids=kinds, attention_mask=mask)
    return {
        "input_ids": ids, "attention_mask": mask, "position_ids": places, "mm_token_type_ids": kinds,
        "pixel_values_videos": frames["pixel_values_videos"], "video_grid_thw": grid, "use_cache": False,
    }  # fmt: skip
