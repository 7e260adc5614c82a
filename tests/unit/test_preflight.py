"""Before a run: lengths of prompts, what does not fit, memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkpoint_folders import write

import evaluators
from viubench.cli.tables import lengths_table
from viubench.engines import memory
from viubench.engines.checkpoints import describe_checkpoint, parameters
from viubench.engines.gpus import Gpu, find_gpu
from viubench.engines.memory import Footprint
from viubench.engines.token_counts import Counter, Shown
from viubench.errors import ViubenchError
from viubench.runner import pipeline, preflight
from viubench.runner.dry_run import DryRun
from viubench.runner.memory import Memory, MemoryCheck
from viubench.runner.plan import Plan
from viubench.runner.planning import Missing
from viubench.runner.preflight import Length, Lengths
from viubench.schema import Clip, Protocol, Resize, Sample, Sampling
from viubench.video import sampling
from viubench.video.frame_cache import FrameCache

GIB = 2**30


def test_memory_is_what_is_left_after_the_weights() -> None:
    """The example of Qwen3-VL-8B on one H200: 36 layers x 8 heads x 128 x 2 x 2 bytes = 147,456 a token."""
    gpu = Memory(available=int(0.9 * 139 * GIB), weights=16 * 10**9, token=36 * 8 * 128 * 2 * 2)
    assert gpu.room == int(0.9 * 139 * GIB) - 16 * 10**9
    assert gpu.sequences(4364) == gpu.room // (147_456 * 4364) == 183
    small = Memory(available=15 * 10**9, weights=16 * 10**9, token=147_456)
    assert (small.sequences(4364), small.needed > small.available) == (0, True)
    aside = Memory(available=10**9, weights=10**8, token=1000, cache=10**7, other=10**8)
    assert (aside.room, aside.needed, aside.sequences(3000)) == (10**7, 21 * 10**7, 3)
    assert Memory(10**9, 0, 0).sequences(5) is None


MARKS = ("<|s|>", "<|pad|>", "<|e|>", "<|vision_start|>", "<|vision_end|>")


def words(folder: Path, **config: Any) -> Path:
    """A checkpoint whose tokenizer has one token a character, and marks of its own."""
    pytest.importorskip("tokenizers")
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    write(folder, config={"vision_config": {"patch_size": 16, "spatial_merge_size": 2}} | config)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in MARKS])
    tokenizer.save(str(folder / "tokenizer.json"))
    template = (
        "{% for m in messages %}U{% for p in m.content %}{{ p.text or '<|s|><|pad|><|e|>' }}{% endfor %}{% endfor %}A"
    )
    (folder / "chat_template.jinja").write_text(template)
    return folder


def test_a_prompt_is_counted_as_it_will_be_written(tmp_path: Path) -> None:
    stamped = Counter(describe_checkpoint(str(words(tmp_path / "a", model_type="qwen3_vl"))))
    video = Shown(3, 64, 96, times=(0.0, 1.0, 12.0))  # told as <0.5 seconds> and <12.0 seconds>
    #        U   mark  text  A   pads           stamps    starts and ends, for one mark's token
    assert stamped.prompt("<video>why?", [video]) == 1 + 3 + 4 + 1 + 2 * 2 * 3 + 13 + 14 + 2 * 2 - 1
    longest = stamped.prompt("<video>why?", [Shown(3, 64, 96)])
    assert longest == stamped.prompt("<video>why?", [video]) - 27 + 2 * len("<99999.9 seconds>")
    picture = Shown(1, 64, 96, still=True)
    assert stamped.prompt("<video>why?", [picture]) == 1 + 3 + 4 + 1 + 6 - 1
    assert stamped.prompt("say <|e|>", []) == 1 + len("say < |e|>") + 1
    plain = Counter(describe_checkpoint(str(words(tmp_path / "b", model_type="qwen2_5_vl"))))
    assert plain.prompt("<video>why?", [video]) == 1 + 3 + 4 + 1 + 12 - 1
    assert plain.basis == "text: the checkpoint's tokenizer"
    assert parameters(tmp_path / "a") == 2


def test_without_a_readable_tokenizer_or_template_the_basis_says_so(tmp_path: Path) -> None:
    bare = Counter(describe_checkpoint(str(write(tmp_path / "bare"))))
    assert "no tokenizer.json" in bare.basis
    assert bare.prompt("a" * 30, []) == 10 + 16
    folder = words(tmp_path / "words")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    assert Counter(describe_checkpoint(str(folder))).basis.endswith("without its chat template")


def asked(name: str, task: str, path: str) -> Sample:
    return Sample(
        id=name, task=task, cluster=path, clips=(Clip(path=path),), question="<video>why?", target="A", answer_text="A"
    )


def planned(samples: list[Sample], root: Path, frames: int = 4) -> Plan:
    tasks = {sample.task for sample in samples}
    how = Protocol(protocol="p", sampling=Sampling(frames=frames), resize=Resize(max_pixels=4096, min_pixels=1024))
    return Plan(
        samples,
        dict.fromkeys(tasks, how),
        {task: evaluators.get("choice") for task in tasks},
        dict.fromkeys(tasks, root),
    )


def test_sizes_are_exact_once_the_store_has_measured_a_video(clips: Path, tmp_path: Path) -> None:
    first, second = sorted(path.name for path in clips.iterdir())[:2]
    store = FrameCache(tmp_path / "store")
    counter = Counter(describe_checkpoint(str(words(tmp_path / "c", model_type="qwen3_vl"))))
    job = planned([asked("1", "t", first), asked("2", "t", first), asked("3", "t", second)], clips)
    before = preflight.measure(job, store, counter)
    assert not any(length.exact for length in before.values())
    media, *look = pipeline.frame_requests(job.samples[0], job)[0]
    video = store.get(look[0], media, *look[1:])
    after = preflight.measure(job, store, counter, lambda sample: sample.id != "3")
    assert sorted(after) == ["1", "2"]
    known, most = after["1"], before["1"]
    assert known.exact
    assert known.video == counter.video(Shown(*video.pixels.shape[:3], times=video.times))
    assert known.frame_bytes == video.pixels.nbytes
    assert known.video <= most.video


def test_of_many_prompts_evenly_spread_ones_stand_for_all(tmp_path: Path) -> None:
    samples = [asked(str(k), "large", "a.mp4") for k in range(10)] + [asked("x", "small", "b.mp4")]
    job = planned(samples, tmp_path)
    assert preflight.spread(job, most=4) == {"0", "3", "6", "9", "x"}
    assert preflight.spread(job) == {sample.id for sample in samples}
    counter = Counter(describe_checkpoint(str(words(tmp_path / "c", model_type="qwen3_vl"))))
    every = preflight.measure(job, FrameCache(tmp_path / "store"), counter)
    few = {name: every[name] for name in preflight.spread(job, most=4)}
    all_counted, estimated = (DryRun(job, Missing({}, 0, 11), counted=counted) for counted in (every, few))
    assert all_counted.tokens == (
        sum(one.prompt for one in every.values()), sum(one.video for one in every.values())
    )  # fmt: skip
    assert estimated.tokens == all_counted.tokens  # equal prompts: their mean is each
    assert "counted: 5 of 11 prompts" in lengths_table(estimated, every)
    assert "counted" not in lengths_table(all_counted, every)


def test_frames_that_the_cache_cannot_keep_are_told_once_a_video(clips: Path) -> None:
    first, second = sorted(path.name for path in clips.iterdir())[:2]
    job = planned([asked("1", "t", first), asked("2", "t", first), asked("3", "t", second)], clips)
    _, _, how, resize = pipeline.frame_requests(job.samples[0], job)[0]
    both = int(2 * 3 * how.frames * sampling.largest(resize, how.frames))
    assert preflight.frames_beyond(job, both) == []
    (line,) = preflight.frames_beyond(job, both // 4)
    assert "about 25% of them" in line


def lengths(*prompts: tuple[str, int, bool]) -> Lengths:
    return {
        str(n): Length(task, 100, size - 100, size - 200, 50, exact, 10**6)
        for n, (task, size, exact) in enumerate(prompts)
    }


def test_overlong_prompts_are_named_or_refused_before_anything_starts() -> None:
    found = lengths(("a", 900, True), ("a", 960, True), ("b", 2000, False), ("b", 100, True))
    first, second, change = preflight.overlong(found, taken(limit=1000), 4, 0.5)
    assert first == "a: 1 samples do not fit into 1000 tokens: the longest prompt has 960, its answer up to 50"
    assert second.startswith("b: 1 samples")
    assert "(1 of them if their frames are as large as they may be)" in second
    assert change == "show fewer --frames or --max-pixels, or raise --engine-arg max_model_len"
    with pytest.raises(ViubenchError, match="1 of 4 samples are too long"):
        preflight.overlong(found, taken(limit=1000), 4, 0.2)
    assert preflight.overlong(found, taken(limit=2050), 4, 0.0) == []


def test_a_video_that_the_encoder_cannot_hold_is_too_long_in_a_prompt_that_fits() -> None:
    found = lengths(("a", 900, True), ("a", 960, True))
    line, change = preflight.overlong(found, taken(video=750), 2, 0.5)
    assert line == "a: 1 samples have a video of more than 750 tokens: the largest has 760"
    assert "max_num_batched_tokens" in change
    with pytest.raises(ViubenchError, match="1 of 2 samples are too long"):
        preflight.overlong(found, taken(video=750), 2, 0.1)


def test_what_surely_fits_is_not_counted_twice(clips: Path, tmp_path: Path) -> None:
    job = planned([asked("1", "t", sorted(clips.iterdir())[0].name)], clips)
    counter = Counter(describe_checkpoint(str(words(tmp_path / "c", model_type="qwen3_vl"))))
    whole = preflight.measure(job, FrameCache(tmp_path / "store"), counter)["1"].whole
    (sample,) = job.samples
    assert preflight.doubtful(job, taken(limit=whole - 1))(sample), "the bound is above what is counted"
    assert not preflight.doubtful(job, taken(limit=10_000))(sample)
    assert not preflight.doubtful(job, taken(limit=None, video=8))(sample)
    assert preflight.doubtful(job, taken(limit=None, video=7))(sample)


def taken(**changes: Any) -> Footprint:
    given: dict[str, Any] = {
        "limit": 4096, "video": None, "setting": "max_model_len", "weights": 2 * 10**9,
        "token": 10**5, "cache": None, "processed": 8 * 10**9, "in_flight": 16, "available": 9 * 10**9,
        "gpu": Gpu("NVIDIA H200", 10**10, 10**10),
    }  # fmt: skip
    return Footprint(**given | changes)


def test_what_would_run_out_of_memory_is_named_with_what_to_change() -> None:
    fits = MemoryCheck(taken(), lengths(("a", 950, True)))
    assert fits.warnings() == []
    assert "70 sequences of 1000 tokens" in fits.lines()[0]
    (tight,) = MemoryCheck(taken(weights=int(8.95e9)), lengths(("a", 950, True))).warnings()
    assert "50.0 MB of key-value cache hold no sequence of 1000 tokens (0.1 GB)" in tight
    (none,) = MemoryCheck(taken(weights=10**10), lengths(("a", 950, True))).warnings()
    assert "smaller dtype or model" in none
    (cpu,) = MemoryCheck(taken(gpu=None, cache=10**10), lengths(("a", 950, True))).warnings()
    assert cpu.startswith("CPU has 9.0 GB for 12.0 GB")


def test_replicas_share_the_work_and_a_processor_s_memory() -> None:
    found = lengths(*[("a", 950, True)] * 10)
    on_gpus, on_cpu = MemoryCheck(taken(), found, 4), MemoryCheck(taken(gpu=None, cache=10**9), found, 4)
    assert on_gpus.lines()[0].startswith("memory, NVIDIA H200 (each of 4): 2.0 GB weights")
    assert on_cpu.lines()[0].startswith("memory, CPU (4 engines): 8.0 GB weights, ")
    (warning,) = on_cpu.warnings()
    assert warning.startswith("CPU has 9.0 GB for 12.")


def test_engine_settings_in_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = {"num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": 256, "max_position_embeddings": 8192}
    described = describe_checkpoint(str(words(tmp_path / "c", text_config=text)))
    cpu = memory.footprint("vllm", described, {"device": "cpu", "max_model_len": "4096"})
    assert (cpu.limit, cpu.gpu, cpu.weights, cpu.token) == (4096, None, 8, 2 * 2 * 256 * 4)
    assert cpu.video == 16384
    assert cpu.cache is not None
    monkeypatch.setattr(memory, "find_gpu", lambda: Gpu("NVIDIA H200", 100 * GIB, 99 * GIB))
    monkeypatch.setattr(memory, "_runs_on_gpus", lambda: True)
    gpu = memory.footprint("vllm", described, {"tensor_parallel_size": "2", "gpu_memory_utilization": "0.5"})
    assert (gpu.available, gpu.weights, gpu.cache, gpu.limit) == (100 * GIB, 4, None, 8192)
    hf = memory.footprint("hf", described, {})
    assert (hf.available, hf.in_flight, hf.limit, hf.setting) == (99 * GIB, 1, 8192, "")


@pytest.mark.parametrize(("output", "found"), [
    ("NVIDIA H200, 143771, 143000", Gpu("NVIDIA H200", 143771 * 2**20, 143000 * 2**20)),
    ("No devices were found", None),
])  # fmt: skip
def test_the_gpu_is_asked_of_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, found: Gpu | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)
    assert find_gpu(str(program)) == found
    assert find_gpu(None) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_gpu(str(program)) is None


def test_a_small_budget_for_a_model_that_thinks_is_said_before_it_starts() -> None:
    job = planned([asked("1", "a", "x"), asked("2", "b", "x")], Path())
    assert preflight.unfinished(job, "{{ '<think>' if enable_thinking }}") == [
        "a, b: the model may think before it answers, and 64 tokens seldom hold both: "
        "--thinking off, or --max-tokens 32768"
    ]
    assert preflight.unfinished(job, "plain") == preflight.unfinished(job, None) == []
    for changes in ({"chat": {"thinking": "off"}}, {"decoding": {"max_tokens": 4096}}, {"answers": "likelihood"}):
        other = Protocol.model_validate(job.protocols["a"].model_dump() | changes)
        assert preflight.unfinished(replace(job, protocols={"a": other}), "<think>") == []
