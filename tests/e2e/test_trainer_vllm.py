"""Rollouts by vLLM on the tiny checkpoint: the same distribution as the policy's, and the policy's weights of now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import forked_cores
import numpy as np
import pytest
import tiny_training
from engine_requests import video

from trainer import grpo
from trainer.checkpoints.metrics_log import read
from trainer.config import Finetuning, TrainConfig
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rollouts import vllm
from trainer.rollouts.sampler import PolicyRollouts, rollout_source
from trainer.rollouts.vllm import VllmRollouts, answer_seed, media_id, merged_weights, open_engine
from viubench.engines import tiny_checkpoints
from viubench.engines.vllm.prompt import as_prompt
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.video.frames import STILL, VideoInput

torch = pytest.importorskip("torch")
pytest.importorskip("vllm")
pytestmark = pytest.mark.engine

TOLERANCE = 1e-4
"""Nats by which any token's log-probability may differ between vLLM and the policy, both in float32."""

ARGS = {"max_model_len": 4096}
STALE = 0.01
"""Nats a token: what weights turned by `turn` are off at least, and the tolerance of the checks."""

QUESTIONS: dict[str, tuple[VideoInput, ...]] = {
    "one": (video(1, 4, 64, 64),),
    "several": (video(2, 4, 64, 64, start=100), video(3, 3, 96, 64), video(4, 6, 64, 128)),
    "pictured": (video(5, 4, 64, 64), replace(video(6, 1, 64, 96), reader=STILL)),
    "none": (),
}


def rows_as(policy: Policy, names: Sequence[str] = tuple(QUESTIONS)) -> list[Packed]:
    rows = []
    for name in names:
        text = "<video>" * len(QUESTIONS[name]) + "\nWhat comes after <|im_end|>?"
        sample = Sample(id=name, task="t", cluster="c", clips=(), question=text, target=None, answer_text="")
        rows.append(policy.pack(sample, QUESTIONS[name]))
    return rows


def ask(source: VllmRollouts, rows: Sequence[Packed], n: int, *how: Any) -> Rollouts:
    """The answers to all questions as one."""
    parts = source(rows, n, *how)
    longest = max(part.mask.shape[1] for part in parts)

    def joined(name: str, filler: float) -> Any:
        tensors = [getattr(part, name) for part in parts]
        padded = [torch.nn.functional.pad(one, (0, longest - one.shape[1]), value=filler) for one in tensors]
        return torch.cat(padded)

    return Rollouts(
        joined("tokens", source.policy.pad),
        joined("mask", False),
        joined("logprobs", 0.0),
        [text for part in parts for text in part.texts],
        [stopped for part in parts for stopped in part.stopped],
    )


def trainable(policy: Policy) -> list[tuple[str, Any]]:
    return [(name, p) for name, p in policy.base.named_parameters() if p.requires_grad]


def turn(policy: Policy, part: str) -> None:
    """Change the weights of the language model (`text`), of the vision tower (`vision`), or all that are trained."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in trainable(policy):
            if part == "all" or (".visual." in name) == (part == "vision"):
                scale = 0.1 * parameter.abs().mean() + 0.01 * (".lora_" in name)
                parameter.add_(scale * torch.randn(parameter.shape, generator=draw))


def answers(rollouts: Rollouts) -> list[list[int]]:
    return [row[kept].tolist() for row, kept in zip(rollouts.tokens, rollouts.mask, strict=True)]


class Remembering(VllmRollouts):
    """Keeps the texts of all answers, in order."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.said: list[str] = []

    def __call__(self, *args: Any) -> list[Rollouts]:
        found = super().__call__(*args)
        self.said += [text for part in found for text in part.texts]
        return found


class Opened:
    """One engine at a time lives in a process; opening another closes it."""

    def __init__(self) -> None:
        self.source: Remembering | None = None

    def open(self, policy: Policy) -> Remembering:
        self.close()
        forked_cores.load()  # for what it says of garbage collections
        self.source = Remembering(policy, ARGS, max_gap=STALE)
        return self.source

    def close(self) -> None:
        if self.source is not None:
            self.source.close()
            self.source.close()


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    found = Opened()
    yield found
    found.close()


@pytest.fixture(scope="module")
def whole(tiny_model: Path, opened: Opened) -> VllmRollouts:
    return opened.open(Policy.open(tiny_model, train_vision=True))


@pytest.fixture
def source(whole: VllmRollouts) -> VllmRollouts:
    """A source whose policy trains everything, both in step."""
    whole.sync_weights()
    return whole


def test_answers_are_whole_and_told_with_the_policy_s_log_probs(
    source: VllmRollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = source.policy
    ends = policy.processor.tokenizer.convert_tokens_to_ids(list("0123456789abcdefghijklmnop"))
    monkeypatch.setattr(policy, "ends", ends)  # so that answers of several lengths end by themselves
    rows = rows_as(policy)
    for temperature in (0.3, 1.0, 2.0):
        found = ask(source, rows, 5, [3, 4, 5, 6], temperature, 10)
        assert len(found.texts) == len(found.stopped) == 20
        assert found.tokens.shape == found.mask.shape == found.logprobs.shape
        assert found.tokens.dtype == torch.int64
        lengths = found.mask.sum(1).tolist()
        for tokens, mask, length, stopped in zip(found.tokens, found.mask, lengths, found.stopped, strict=True):
            assert 1 <= length <= 10
            assert mask.tolist() == [True] * length + [False] * (len(mask) - length)
            assert (tokens[length:] == policy.pad).all()
            assert [token in ends for token in tokens[:length].tolist()] == [False] * (length - 1) + [stopped]
            assert stopped or length == 10
        assert len(set(lengths)) > 1
        own, _ = policy.logprobs(policy.stack(rows), found.tokens, found.mask, temperature, policy.barred)
        assert (own - found.logprobs).abs().max() < TOLERANCE
        assert (found.logprobs[found.mask] < 0).all()
        assert (found.logprobs[~found.mask] == 0).all()
        assert source.check(source.policy.stack(rows), found, temperature) < TOLERANCE


def test_pictures_are_never_said_and_only_the_policy_s_ends_end(
    source: VllmRollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = source.policy
    tokenizer, config = policy.processor.tokenizer, policy.base.config
    head = policy.base.get_output_embeddings().weight
    kept = head.detach().clone()
    loud = [config.image_token_id, config.video_token_id, tokenizer.eos_token_id]
    monkeypatch.setattr(policy, "ends", tokenizer.convert_tokens_to_ids(["<|endoftext|>"]))
    monkeypatch.setattr(policy, "pad", tokenizer.convert_tokens_to_ids("<|endoftext|>"))
    try:
        with torch.no_grad():
            head[loud] = kept[tokenizer.convert_tokens_to_ids("a")]  # as likely as any letter, were they not barred
        source.sync_weights()
        said = [
            token for answer in answers(ask(source, rows_as(policy, ["one"]), 40, [0], 2.0, 10)) for token in answer
        ]
    finally:
        with torch.no_grad():
            head.copy_(kept)
    assert not {config.image_token_id, config.video_token_id} & set(said)
    assert tokenizer.eos_token_id in said, "an end token of the tokenizer that the policy does not end at"


@pytest.mark.parametrize("part", ["text", "vision"])
def test_stale_weights_are_noticed_and_a_sync_brings_the_new_ones(source: VllmRollouts, part: str) -> None:
    rows = rows_as(source.policy, ["one", "several"])
    source.check(source.policy.stack(rows), ask(source, rows, 4, [1, 2], 0.9, 12), 0.9)
    turn(source.policy, part)
    stale = ask(source, rows, 4, [1, 2], 0.9, 12)
    with pytest.raises(ViubenchError, match="old weights"):
        source.check(source.policy.stack(rows), stale, 0.9)
    source.sync_weights()
    fresh = ask(source, rows, 4, [1, 2], 0.9, 12)
    assert answers(fresh) != answers(stale)
    assert source.check(source.policy.stack(rows), fresh, 0.9) < TOLERANCE


def test_what_was_computed_with_the_old_weights_is_forgotten(
    source: VllmRollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap itself: new weights, and a prompt whose keys and values are those of the old ones."""
    rows = rows_as(source.policy, ["several"])  # longer than a block of the cache, 128 tokens
    ask(source, rows, 4, [1], 0.9, 12)
    turn(source.policy, "vision")
    monkeypatch.setattr(source._llm, "reset_prefix_cache", lambda: True)
    source.sync_weights()
    with pytest.raises(ViubenchError, match="old weights"):
        ask(source, rows, 4, [1], 0.9, 12)
    monkeypatch.undo()
    source.sync_weights()
    ask(source, rows, 4, [1], 0.9, 12)


def test_frames_that_do_not_arrive_are_noticed(source: VllmRollouts, monkeypatch: pytest.MonkeyPatch) -> None:
    def blank(processor: Any, question: str, videos: Sequence[VideoInput], ids: Sequence[str]) -> dict[str, Any]:
        grey = [replace(video, pixels=np.full_like(video.pixels, 128), key="") for video in videos]
        return as_prompt(processor, question, grey, [f"grey {name}" for name in ids])

    rows = rows_as(source.policy, ["one", "none"])
    source.sync_weights()
    monkeypatch.setattr(vllm, "as_prompt", blank)
    with pytest.raises(ViubenchError, match="other pixels") as raised:
        ask(source, rows, 4, [1, 2], 0.9, 12)
    assert raised.value.where == "item one"


def test_a_prompt_laid_out_otherwise_is_refused_on_every_call(source: VllmRollouts) -> None:
    rows = rows_as(source.policy, ["none", "one"])
    ask(source, rows, 2, [1, 2], 0.9, 4)
    start = rows[1].inputs["input_ids"][0].tolist().index(source.policy.base.config.vision_start_token_id)
    rows[1].inputs["input_ids"][0, start] = (
        source.policy.pad
    )  # the outer pair around a video's frames is the known trap
    with pytest.raises(ViubenchError, match="vLLM's prompt differs from the trainer's") as raised:
        ask(source, rows, 2, [1, 2], 0.9, 4)
    assert raised.value.where == "item one"
    assert "'<|vision_start|><0." in raised.value.message


def test_a_question_s_answers_follow_from_its_seed_alone(source: VllmRollouts) -> None:
    together = answers(ask(source, rows_as(source.policy, ["one", "several"]), 3, [7, 8], 1.0, 12))
    alone = answers(ask(source, rows_as(source.policy, ["several"]), 3, [8], 1.0, 12))
    other = answers(ask(source, rows_as(source.policy, ["several"]), 3, [9], 1.0, 12))
    assert together[3:] == alone
    assert len({str(answer) for answer in [*together, *other]}) == 9, "no two answers are drawn alike"
    assert len({answer_seed(seed, number) for seed in range(50) for number in range(50)}) == 2500
    assert all(0 <= answer_seed(2**63 - 1, number) < 2**63 for number in range(50))


def test_a_prompt_that_is_too_long_is_told(source: VllmRollouts) -> None:
    sample = Sample(id="l", task="t", cluster="c", clips=(), question="?" * 5000, target=None, answer_text="")
    with pytest.raises(ViubenchError, match=r"vLLM could not answer: .*4096"):
        ask(source, [source.policy.pack(sample, ())], 2, [0], 1.0, 4)


def test_a_new_engine_gives_the_same_answers_and_leaves_the_trainer_s_state_alone(
    source: VllmRollouts, opened: Opened
) -> None:
    policy = source.policy
    first = ask(source, rows_as(policy), 3, [1, 2, 3, 4], 1.0, 12)
    before, threads = torch.get_rng_state(), torch.set_num_threads
    second = opened.open(policy)
    second.sync_weights()
    again = ask(second, rows_as(policy), 3, [1, 2, 3, 4], 1.0, 12)
    assert answers(again) == answers(first)
    assert again.texts == first.texts
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.set_num_threads is threads


def test_adapters_are_merged_on_the_way_and_stay_apart_in_the_policy(tiny_model: Path, opened: Opened) -> None:
    from peft import get_peft_model

    lora = Finetuning(type="lora", lora_r=4, lora_alpha=6.5, lora_target_modules=("q_proj", "v_proj", "qkv"))
    policy = Policy.open(tiny_model, finetuning=lora, train_vision=True)
    model = get_peft_model(policy.base, policy.peft_config)
    turn(policy, "all")
    merged = deepcopy(model).merge_and_unload().state_dict()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = dict(merged_weights(policy))
    assert given.keys() == merged.keys()
    assert all(torch.equal(given[name], merged[name]) for name in merged)
    source = opened.open(policy)
    rows = rows_as(policy, ["one", "several"])
    with pytest.raises(ViubenchError, match="old weights"):
        ask(source, rows, 4, [1, 2], 0.9, 12)
    source.sync_weights()
    assert source.check(source.policy.stack(rows), ask(source, rows, 4, [1, 2], 0.9, 12), 0.9) < TOLERANCE
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tied_embeddings_follow_too(tmp_path: Path, opened: Opened) -> None:
    tiny_checkpoints.write(tmp_path / "learner", kind=tiny_checkpoints.LEARNER, texts=["What comes after?"])
    policy = Policy.open(tmp_path / "learner", train_vision=True)
    assert policy.base.config.tie_word_embeddings
    with torch.no_grad():
        for _, parameter in trainable(policy):
            parameter.mul_(1.5)  # far enough from the engine's; at 3 float32 itself is off by 0.003
    source = opened.open(policy)
    rows = rows_as(policy, ["one", "several"])
    with pytest.raises(ViubenchError, match="old weights"):
        ask(source, rows, 4, [1, 2], 0.9, 12)
    source.sync_weights()
    assert source.check(source.policy.stack(rows), ask(source, rows, 4, [1, 2], 0.9, 12), 0.9) < TOLERANCE


def test_a_run_through_vllm_stays_on_its_policy_and_goes_on_where_it_stopped(
    tiny_model: Path, world: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", tiny_training.Vowels)
    chosen = tiny_training.config(world, tiny_model, rollout={"engine": "vllm", "engine_args": ARGS})
    assert chosen.hash() != tiny_training.config(world, tiny_model).hash()

    def run(out: Path, progress: Any = lambda told: None) -> tuple[Policy, list[str]]:
        """A run as a new process would begin it, and all that was answered in it."""
        policy = tiny_training.opened(chosen)
        source = opened.open(policy)
        with contextlib.suppress(KeyboardInterrupt):
            questions = tiny_training.asked(chosen, world)
            grpo.train(chosen, out, questions, policy, progress=progress, source=source)
        return policy, source.said

    def stop(told: dict[str, Any]) -> None:
        if told["step"] == 2:  # after the checkpoint of step 2, before that of step 4
            raise KeyboardInterrupt

    whole, said = run(tmp_path / "whole")
    _, before = run(tmp_path / "stopped", stop)
    resumed, after = run(tmp_path / "stopped")
    each = len(said) // chosen.max_steps
    assert (before, after) == (said[: 3 * each], said[2 * each :])
    told = read(tmp_path / "whole")
    assert [line["step"] for line in told] == [0, 1, 2, 3]
    # vLLM's probabilities are over the tokens that may be sampled; those of two placeholders are missing, under a
    # hundredth in a random model, and the ratio of truncated importance sampling is that much below 1.
    assert all(0 < line["gap_max"] < 0.02 for line in told)
    ratio = "sampling/importance_sampling_ratio/mean"
    assert all(0.98 < line[ratio] < 1 for line in told)
    assert max(line["grad_norm"] for line in told) > 0
    ended, fresh = tiny_training.weights(resumed), tiny_training.weights(tiny_training.opened(chosen))
    for name, one in tiny_training.weights(whole).items():
        assert torch.allclose(one, ended[name], atol=1e-6), name
    assert any(not torch.equal(one, fresh[name]) for name, one in tiny_training.weights(whole).items())


def test_the_configuration_chooses_the_source(tiny_model: Path, tmp_path: Path, opened: Opened) -> None:
    opened.close()
    least: dict[str, Any] = {"run_name": "t", "tasks": {"a": {}}, "max_steps": 1, "dtype": "float32"}
    policy = Policy.open(tiny_model)
    plain = rollout_source(TrainConfig.model_validate(least), policy)
    assert isinstance(plain, PolicyRollouts)
    plain.sleep()
    plain.close()
    chosen = TrainConfig.model_validate(least | {"rollout": {"engine": "vllm", "engine_args": ARGS}})
    source = rollout_source(chosen, policy)
    assert isinstance(source, VllmRollouts)
    source.sleep()  # does nothing without enable_sleep_mode
    source.close()
    assert source.max_gap == chosen.max_logprob_gap


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        ({"max_model_length": 9}, "no argument 'max_model_length'", "did you mean max_model_len?"),
        ({"dtype": "bfloat16"}, "dtype is determined by the training", None),
        ({"tensor_parallel_size": 2}, "tensor_parallel_size is determined", None),
        ({"max_model_len": 10**9}, "vLLM could not open the model: .*max_model_len", "rollout.engine_args"),
    ],
)
def test_engine_arguments_that_do_not_fit_are_told(
    tiny_model: Path, opened: Opened, args: dict[str, Any], said: str, hint: str | None
) -> None:
    opened.close()
    with pytest.raises(ViubenchError, match=said) as raised:
        open_engine(tiny_model, "float32", args)
    assert hint is None or hint in str(raised.value.hint)


def test_an_id_is_of_pixels_and_times() -> None:
    one = QUESTIONS["one"][0]
    same = replace(one, pixels=one.pixels.copy(), source="elsewhere", key="k")
    later = replace(one, times=tuple(time + 0.4 for time in one.times))
    darker = replace(one, pixels=one.pixels // 2)
    first = QUESTIONS["pictured"][1]
    assert media_id(one) == media_id(same)
    assert len({media_id(each) for each in (one, later, darker, first, replace(first, reader=""))}) == 5
