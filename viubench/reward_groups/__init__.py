"""Groups of rewards, as GRPO has them: several answers to a question, of which only those that differ teach."""
