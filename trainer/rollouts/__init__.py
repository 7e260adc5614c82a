"""Rollouts: sampled answers, by the policy itself or by vLLM."""
