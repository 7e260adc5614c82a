"""verl's single-turn agent loop with the prompt that vLLM needs for videos. Loaded by verl, in verl's environment.

In verl 0.9.1 the processor expands every video into frame times and visual tokens, and vLLM, given that prompt, expands
it once more: it answers a prompt with every time twice and visual tokens without frames, while the loss uses the right
one. Nothing fails (see verl's issue 5024). This loop gives vLLM the prompt with one placeholder for each video, which
vLLM expands to the tokens of the training.

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
        """The answer; `extra_fields` has for the reward function whether the token limit cut it."""
        output = await super().run(sampling_params, **row)
        answer = output.response_ids
        output.extra_fields["cut"] = len(answer) >= self.response_length and answer[-1] != self.tokenizer.eos_token_id
        return output

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], *args: Any, **media: Any) -> list[int]:
        """The prompt of the training; the one for vLLM is kept for its request."""
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
