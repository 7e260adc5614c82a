"""verl's single-turn rollout, with the prompt that vLLM wants for videos. Loaded by verl, in verl's environment.

verl 0.9.1 lets the processor write every frame's time and visual tokens into the prompt, and hands that to vLLM, which
writes them in once more: the answers then come from a prompt that tells every time twice, with visual tokens that have
no frame behind them, while the training sees the right one. Nothing fails (verl's issue 5024 is of the time when it
did). This loop hands vLLM the prompt with one mark for each video, which vLLM makes the same tokens of as the training.

Example:
    - name: viubench                                   # the file actor_rollout_ref.rollout.agent.agent_loop_config_path
      _target_: trainer.verl.agent_loop.VideoAgentLoop
"""

from __future__ import annotations

from typing import Any

from verl.experimental.agent_loop.single_turn_agent_loop import (  # type: ignore[import-not-found]
    SingleTurnAgentLoop,
)


class VideoAgentLoop(SingleTurnAgentLoop):  # type: ignore[misc]
    """One question, one answer; verl makes a new loop for every answer."""

    def __init__(self, *args: Any, server_manager: Any, **more: Any) -> None:
        super().__init__(*args, server_manager=Unexpanded(server_manager), **more)

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> Any:
        """The answer; `extra_fields` tells the reward function whether the token limit cut it, which verl does not."""
        output = await super().run(sampling_params, **row)
        answer = output.response_ids
        output.extra_fields["cut"] = len(answer) >= self.response_length and answer[-1] != self.tokenizer.eos_token_id
        return output

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], *args: Any, **media: Any) -> list[int]:
        """The prompt the training sees; the one for vLLM is kept for its request."""
        expanded: list[int] = await super().ct_build_initial_tokens(messages, *args, **media)
        text = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **self.apply_chat_template_kwargs
        )
        self.server_manager.prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return expanded


class Unexpanded:
    """A client of verl's rollout servers that sends `prompt` in place of the prompt it is given."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.prompt: list[int] = []

    async def generate(self, *, prompt_ids: list[int], **request: Any) -> Any:
        return await self.client.generate(prompt_ids=self.prompt, **request)
