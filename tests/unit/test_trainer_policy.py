"""The policy on the tiny checkpoint: the shared prompt changes nothing, and the videos are really seen."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.config import Finetuning
from trainer.model import forward
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from viubench.engines.base import Request
from viubench.engines.hf import HfEngine
from viubench.errors import ViubenchError
from viubench.schema import Decoding, Sample
from viubench.video.frames import STILL, VideoInput

torch = pytest.importorskip("torch")
TorchDispatchMode: Any = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode

KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "vision": {"train_vision": True},
    "lora": {"finetuning": Finetuning(type="lora", lora_r=4, lora_alpha=6.5, lora_target_modules=("q_proj", "v_proj"))},
}


def clip(seed: int, frames: int = 4, size: int = 64, reader: str = "") -> VideoInput:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, size, size, 3), np.uint8)
    times = tuple(0.48 * number for number in range(frames))
    return VideoInput(pixels, 25.0, tuple(range(0, 12 * frames, 12)), times, 12 * frames, 0.48 * frames, reader)


def asked(videos: int) -> Sample:
    question = "<video>" * videos + "\nWhat comes after <|im_end|>?"
    return Sample(id="s", task="t", cluster="c", clips=(), question=question, target=None, answer_text="")


ONE = (clip(1),)
SEVERAL = (clip(2), clip(3, 3, 96), clip(4, 6))
PICTURED = (clip(5), clip(6, 1, 64, STILL))


@pytest.fixture(scope="module")
def folder(tiny_model: Path) -> Path:
    return tiny_model


@pytest.fixture(scope="module")
def policy(folder: Path) -> Policy:
    return Policy.open(folder)


def answered(policy: Policy, videos: tuple[VideoInput, ...], seed: int = 0) -> tuple[Packed, Rollouts]:
    packed = policy.pack(asked(len(videos)), videos)
    return packed, policy.rollout(packed, 4, [seed], 0.9, 10)


def opened(folder: Path, kind: str) -> Policy:
    """The policy as a trainer holds it: adapters in place, and not at zero, where half of their gradient would be."""
    policy = Policy.open(folder, **KINDS[kind])
    if policy.peft_config is not None:
        peft = pytest.importorskip("peft")
        torch.manual_seed(5)
        peft.inject_adapter_in_model(policy.peft_config, policy.base)
        for name, parameter in policy.base.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return policy


def trainable(policy: Policy) -> list[tuple[str, Any]]:
    return [(name, p) for name, p in policy.base.named_parameters() if p.requires_grad]


def gradient(policy: Policy) -> Any:
    """That of all trained weights, one after the other, and taken off them."""
    found = torch.cat([p.grad.flatten() for _, p in trainable(policy) if p.grad is not None])
    for _, p in trainable(policy):
        p.grad = None
    return found


def with_prefix(policy: Policy, packed: Packed, tokens: Any, mask: Any) -> tuple[Any, Any]:
    return forward.answer_logprobs(policy.base, packed, tokens, mask, 0.9)


def in_full(policy: Policy, packed: Packed, tokens: Any, mask: Any) -> tuple[Any, Any]:
    """As a trainer with gradient checkpointing: no cache, each answer behind a copy of the prompt."""
    length = tokens.shape[1]
    inputs = forward.full_sequence(policy.base, packed, tokens, mask)
    inputs.pop("labels")
    scores = (policy.base(**inputs).logits[:, -length - 1 : -1] / 0.9).log_softmax(-1)
    entropy = -(scores.exp() * scores).sum(-1)
    return scores.gather(-1, tokens[..., None])[..., 0] * mask, entropy * mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("videos", [ONE, SEVERAL, PICTURED], ids=["one", "several", "still"])
def test_the_shared_prompt_gives_the_plain_values_and_gradients(
    folder: Path, kind: str, videos: tuple[VideoInput, ...]
) -> None:
    policy = opened(folder, kind)
    packed, rollouts = answered(policy, videos)
    weights = torch.randn(rollouts.mask.shape, generator=torch.Generator().manual_seed(1))
    seen = []
    for score in (with_prefix, in_full):
        logprobs, entropy = score(policy, packed, rollouts.tokens, rollouts.mask)
        (logprobs * weights).sum().backward()
        seen.append((logprobs.detach(), entropy.detach(), gradient(policy)))
    assert (seen[0][0] - seen[1][0]).abs().max() < 1e-5
    assert (seen[0][1] - seen[1][1]).abs().max() < 1e-5
    assert seen[1][2].norm() > 0
    assert (seen[0][2] - seen[1][2]).norm() / seen[1][2].norm() < 1e-5
    assert any(".visual." in name for name, _ in trainable(policy)) == (kind == "vision")


class Wide(TorchDispatchMode):
    """Notes the shapes of results as wide as the vocabulary, inside."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.seen: list[Any] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.shape[-1:] == (self.vocabulary,):
            self.seen.append(result.shape)
        return result


def test_the_loss_holds_no_logits_of_the_whole_vocabulary(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much memory as [answers, length, vocabulary] in float32 takes is what a large model has not."""
    monkeypatch.setattr(forward, "CHUNK", 40)
    packed, rollouts = answered(policy, ONE)
    found = []
    for score in (with_prefix, in_full):
        with Wide(len(policy.base.get_output_embeddings().weight)) as wide:
            logprobs, entropy = score(policy, packed, rollouts.tokens, rollouts.mask)
            (logprobs.sum() - 0.3 * entropy.sum()).backward()
        found.append((bool(wide.seen), logprobs.detach(), entropy.detach(), gradient(policy)))
    chunked, whole = found
    assert (chunked[0], whole[0]) == (False, True)
    assert (chunked[1] - whole[1]).abs().max() < 1e-5
    assert (chunked[2] - whole[2]).abs().max() < 1e-5
    assert (chunked[3] - whole[3]).norm() / whole[3].norm() < 1e-5


@pytest.mark.parametrize("videos", [ONE, SEVERAL], ids=["one", "several"])
def test_rollouts_tell_the_log_probs_that_the_loss_sees(policy: Policy, videos: tuple[VideoInput, ...]) -> None:
    packed, rollouts = answered(policy, videos)
    again, entropy = policy.logprobs(packed, rollouts.tokens, rollouts.mask, 0.9)
    assert (again - rollouts.logprobs).abs().max() < 1e-5
    assert (rollouts.logprobs[rollouts.mask] < 0).all()
    assert (entropy[rollouts.mask] > 0).all()
    assert (again[~rollouts.mask] == 0).all()
    hotter, _ = policy.logprobs(packed, rollouts.tokens, rollouts.mask, 2.0)
    assert (hotter - again).abs().max() > 0.01, "the temperature is part of the policy"


def test_tokens_that_are_never_sampled_can_be_left_out(policy: Policy) -> None:
    """As an engine with a logit bias on them gives its log-probabilities."""
    packed, rollouts = answered(policy, ONE)
    barred_tokens = rollouts.tokens[0, :1].tolist()
    whole, left = (
        policy.logprobs(packed, rollouts.tokens, rollouts.mask, 0.9, barred)[0] for barred in ((), barred_tokens)
    )
    allowed = rollouts.mask & ~torch.isin(rollouts.tokens, torch.tensor(barred_tokens))
    first = rollouts.tokens[:, 0] != barred_tokens[0]  # of which the probability of the barred one is known: [0, 0]
    rest = -torch.log1p(-whole[0, 0].exp())
    assert (left - whole)[first, 0] == pytest.approx(float(rest), abs=1e-5)
    assert (left[~allowed & rollouts.mask] < -1e6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_what_its_questions_give_alone(folder: Path, kind: str) -> None:
    policy = opened(folder, kind)
    shows = (SEVERAL, ONE, PICTURED, ())
    alone = [policy.pack(asked(len(videos)), videos) for videos in shows]
    batch = policy.stack([policy.pack(asked(len(videos)), videos) for videos in shows])
    assert batch.mask() is not None, "prompts of several lengths"
    seeds = [3, 1, 4, 1]
    rollouts = policy.rollout(batch, 3, seeds, 0.9, 10)
    singles = [policy.rollout(one, 3, [seed], 0.9, 10) for one, seed in zip(alone, seeds, strict=True)]
    assert rollouts.texts == [text for single in singles for text in single.texts]
    assert len(set(rollouts.texts)) > 4
    weights = torch.randn(rollouts.mask.shape, generator=torch.Generator().manual_seed(2))

    for score in (with_prefix, in_full):
        together, _ = score(policy, batch, rollouts.tokens, rollouts.mask)
        assert (together.detach() - rollouts.logprobs).abs().max() < 1e-5
        (together * weights).sum().backward()
        whole = gradient(policy)
        for place, one in enumerate(alone):
            part = slice(3 * place, 3 * place + 3)
            apart, _ = with_prefix(policy, one, rollouts.tokens[part], rollouts.mask[part])
            assert (apart.detach() - together.detach()[part]).abs().max() < 1e-5
            (apart * weights[part]).sum().backward()
        parts = gradient(policy)
        assert (whole - parts).norm() / parts.norm() < 1e-5


def test_tokens_are_drawn_by_their_probability() -> None:
    from trainer.model.policy import pick, uniform

    scores = torch.tensor([0.5, 0.0, 0.2, 0.3]).log().expand(4000, 4)
    drawn = pick(scores, uniform([1, 2], 2000, 3)[:, 1])[:, 0]
    shares = torch.bincount(drawn, minlength=4) / 4000
    assert shares[1] == 0, "what has no probability is never drawn"
    assert (shares - torch.tensor([0.5, 0.0, 0.2, 0.3])).abs().max() < 0.03
    assert torch.equal(uniform([5, 6], 2, 3)[2:], uniform([6], 2, 3))


def test_answers_end_at_their_end_token(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = policy.processor.tokenizer.convert_tokens_to_ids(list("0123456789abcdefghij"))
    monkeypatch.setattr(policy, "ends", digits)
    packed = policy.pack(asked(1), ONE)
    rollouts = policy.rollout(packed, 8, [3], 1.0, 6)
    assert any(rollouts.stopped)
    assert len(set(rollouts.mask.sum(1).tolist())) > 1, "answers of several lengths"
    for tokens, mask, stopped in zip(rollouts.tokens, rollouts.mask, rollouts.stopped, strict=True):
        length = int(mask.sum())
        assert [token in digits for token in tokens[:length].tolist()] == [False] * (length - 1) + [stopped]
        assert (tokens[length:] == policy.pad).all()
        assert mask.tolist() == [True] * length + [False] * (len(mask) - length)
    again, _ = policy.logprobs(packed, rollouts.tokens, rollouts.mask, 1.0)
    assert (again - rollouts.logprobs).abs().max() < 1e-5


def test_a_seed_decides_the_answers(policy: Policy) -> None:
    first, again, other = (answered(policy, ONE, seed)[1] for seed in (7, 7, 8))
    assert torch.equal(first.tokens, again.tokens)
    assert torch.equal(first.logprobs, again.logprobs)
    assert first.texts == again.texts != other.texts
    assert len(set(first.texts)) > 1


def test_another_video_changes_the_log_probs(policy: Policy) -> None:
    _, rollouts = answered(policy, ONE)
    same, other = (
        policy.logprobs(policy.pack(asked(1), videos), rollouts.tokens, rollouts.mask, 0.9)[0]
        for videos in (ONE, (clip(9),))
    )
    assert (same - rollouts.logprobs).abs().max() < 1e-5
    assert (other - same).abs().max() > 0.01


def test_a_question_before_leaves_no_trace(policy: Policy) -> None:
    packed, rollouts = answered(policy, ONE)
    answered(policy, SEVERAL)
    policy.base.model.rope_deltas = torch.tensor([[1000]])
    assert torch.equal(policy.rollout(packed, 4, [0], 0.9, 10).logprobs, rollouts.logprobs)


@pytest.mark.parametrize("videos", [ONE, SEVERAL, PICTURED, ()], ids=["one", "several", "still", "none"])
def test_prompts_and_greedy_answers_are_those_of_the_engine(
    policy: Policy, folder: Path, videos: tuple[VideoInput, ...]
) -> None:
    engine = HfEngine(str(folder), {"device": "cpu"})
    request = Request(asked(len(videos)), videos, (), Decoding(max_tokens=12))

    async def run() -> tuple[Any, Any]:
        async with engine:
            return engine.encode(request), await engine.generate(request)

    inputs, response = asyncio.run(run())
    packed = policy.pack(request.sample, videos)
    assert packed.inputs.keys() == inputs.keys()
    assert all(torch.equal(packed.inputs[name], inputs[name]) for name in inputs)
    rollouts = policy.rollout(packed, 2, [0], 0.0, 12)
    assert rollouts.texts == [response.text] * 2
    assert response.text


def test_answers_apart_are_as_long_as_their_own(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "ends", policy.processor.tokenizer.convert_tokens_to_ids(list("0123456789abcdefghij")))
    pair = policy.stack([policy.pack(asked(1), ONE), policy.pack(asked(3), SEVERAL)])
    both = policy.rollout(pair, 3, [1, 4], 1.0, 8)
    parts = both.split(3)
    assert [text for part in parts for text in part.texts] == both.texts
    assert [stopped for part in parts for stopped in part.stopped] == both.stopped
    for at, part in enumerate(parts):
        rows = slice(3 * at, 3 * at + 3)
        assert part.mask.shape[1] == int(both.mask[rows].sum(1).max())
        assert torch.equal(part.tokens[part.mask], both.tokens[rows][both.mask[rows]])
        assert torch.equal(part.logprobs[part.mask], both.logprobs[rows][both.mask[rows]])


def test_the_policy_answers_the_same_while_it_is_trained(folder: Path) -> None:
    """Gradient checkpointing keeps no cache in training mode, and would silently forget the prompt."""
    policy = Policy.open(folder)
    packed, rollouts = answered(policy, ONE)
    policy.base.gradient_checkpointing_enable()
    policy.base.train()
    _, again = answered(policy, ONE)
    assert torch.equal(again.logprobs, rollouts.logprobs)
    assert torch.equal(policy.logprobs(packed, again.tokens, again.mask, 0.9)[0],
                       Policy.open(folder).logprobs(packed, again.tokens, again.mask, 0.9)[0])  # fmt: skip
    assert policy.base.training


def test_bfloat16_runs_and_stays_near(folder: Path, policy: Policy) -> None:
    packed, rollouts = answered(policy, ONE)
    small = Policy.open(folder, dtype="bfloat16")
    found, _ = small.logprobs(small.pack(packed.samples[0], ONE), rollouts.tokens, rollouts.mask, 0.9)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert (found - rollouts.logprobs)[rollouts.mask].abs().mean() < 0.5


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    for name in ("tokenizer_config.json", "processor_config.json"):
        settings = json.loads((folder / name).read_text())
        settings.pop("chat_template", None)
        (folder / name).write_text(json.dumps(settings))


def text_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}{% endfor %}")


def text_model(folder: Path) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    sizes = {"num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 8}
    config = Qwen3Config(vocab_size=263, hidden_size=8, intermediate_size=8, **sizes)
    Qwen3ForCausalLM(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_template, "no chat template"),
        (text_template, "chat template has no place for a video"),
        (text_model, "could not open the model"),
    ],
)
def test_a_model_that_cannot_be_asked_about_videos_is_refused(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    shutil.copytree(folder, tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    with pytest.raises(ViubenchError, match=said):
        Policy.open(tmp_path / "spoilt")


def test_what_a_user_can_get_wrong(policy: Policy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ViubenchError, match="no layer is called query") as raised:
        Policy.open(folder, finetuning=Finetuning(type="lora", lora_target_modules=("query",)))
    assert "q_proj" in str(raised.value.hint)
    with pytest.raises(ViubenchError, match="does not take a question: the processor refused") as refused:
        policy.pack(asked(1), (clip(1, 4, 40),))
    assert refused.value.where == "item s"
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ViubenchError, match="LoRA needs peft"):
        Policy.open(folder, finetuning=Finetuning(type="lora"))
    assert trainable(Policy.open(folder)), "all weights are trained without peft"


def test_a_processor_without_videos_is_refused(policy: Policy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = policy.processor.tokenizer
    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", lambda path, **_: tokenizer)
    with pytest.raises(ViubenchError, match="takes neither videos nor pictures"):
        Policy.open(folder)
