"""The overrides of every recipe for verl compose with its configuration and pass its own checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import verl_exports
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config
from verl.utils.dataset.rl_dataset import get_dataset_class

from trainer.config import load
from trainer.verl.export import overrides


@pytest.mark.parametrize("recipe", verl_exports.RECIPES)
def test_the_overrides_of_a_recipe_are_verl_s_own_options(recipe: str) -> None:
    lines = overrides(load(recipe), verl_exports.handed(), Path("/out"))
    config = verl_exports.composed(lines)
    validate_config(config, need_reference_policy(config), need_critic(config))
    assert not need_critic(config)
    assert need_reference_policy(config)
    parser = OverridesParser.create()
    for override in parser.parse_overrides(lines):
        given = OmegaConf.create([override.value()])[0]
        assert OmegaConf.select(config, override.key_or_group) == given, override.input_line


def test_the_paper_s_values_reach_verl() -> None:
    config = verl_exports.composed(overrides(load("videossr-8xh200"), verl_exports.handed(), Path("/out")))
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    assert (actor.optim.lr, actor.optim.weight_decay, actor.optim.lr_scheduler_type) == (1e-6, 0.01, "constant")
    assert (actor.use_kl_loss, actor.kl_loss_coef, actor.entropy_coeff, actor.ppo_epochs) == (True, 1e-3, 0, 1)
    assert (config.data.train_batch_size, rollout.n, actor.ppo_mini_batch_size) == (64, 8, 64)
    assert (rollout.prompt_length, rollout.response_length) == (8192, 2048)
    assert (config.trainer.save_freq, config.trainer.total_training_steps, config.trainer.total_epochs) == (100, 468, 1)
    assert (config.actor_rollout_ref.model.lora_rank, actor.freeze_vision_tower) == (0, False)
    assert (config.trainer.n_gpus_per_node, config.trainer.nnodes) == (8, 1)
    assert rollout.agent.default_agent_loop == "viubench"
    assert (rollout.max_model_len, rollout.gpu_memory_utilization) == (8192 + 2048, 0.6)
    assert config.data.frame_cache == "/frames"
    assert get_dataset_class(config.data).__name__ == "FrameCacheDataset"


def test_batches_and_kernels_are_those_of_the_paper_s_script() -> None:
    config = verl_exports.composed(overrides(load("videossr-8xh200"), verl_exports.handed(), Path("/out")))
    actor, parts = config.actor_rollout_ref.actor, config.actor_rollout_ref
    assert (actor.ppo_mini_batch_size, actor.ppo_micro_batch_size_per_gpu) == (64, 8)
    assert (parts.ref.log_prob_micro_batch_size_per_gpu, parts.rollout.log_prob_micro_batch_size_per_gpu) == (8, 8)
    assert (actor.use_dynamic_bsz, parts.ref.log_prob_use_dynamic_bsz) == (False, False)
    assert actor.ppo_max_token_len_per_gpu == parts.ref.log_prob_max_token_len_per_gpu == 8 * (8192 + 2048)
    assert (parts.model.use_fused_kernels, parts.model.use_remove_padding) == (True, True)


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"min_lr_ratio": 0.1, "warmup_steps": 5}, "actor_rollout_ref.actor.optim.min_lr_ratio", 0.1),
        ({"min_lr_ratio": 0.1, "warmup_steps": 5}, "actor_rollout_ref.actor.optim.lr_warmup_steps", 5),
        ({"beta": 0.0}, "actor_rollout_ref.actor.use_kl_loss", False),
        ({"epsilon": 0.3}, "actor_rollout_ref.actor.clip_ratio_high", 0.3),
        ({"epsilon": 0.3, "epsilon_high": 0.4}, "actor_rollout_ref.actor.clip_ratio_high", 0.4),
        ({"loss_type": "grpo"}, "actor_rollout_ref.actor.loss_agg_mode", "seq-mean-token-mean"),
        ({"loss_type": "dr_grpo"}, "actor_rollout_ref.actor.loss_agg_mode", "seq-mean-token-sum-norm"),
        ({"scale_rewards": "none"}, "algorithm.norm_adv_by_std_in_grpo", False),
        ({"freeze_vision_tower": True}, "actor_rollout_ref.actor.freeze_vision_tower", True),
        ({"model": "/models/odd, =name ${x}"}, "actor_rollout_ref.model.path", "/models/odd, =name ${x}"),
    ],
)
def test_other_values_reach_verl_too(changes: dict[str, Any], key: str, value: Any) -> None:
    recipe = load("videossr-8xh200").model_copy(update=changes)
    config = verl_exports.composed(overrides(recipe, verl_exports.handed(), Path("/out")))
    validate_config(config, need_reference_policy(config), need_critic(config))
    assert OmegaConf.select(config, key) == value
