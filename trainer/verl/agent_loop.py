"""verl's single-turn agent loop with the prompts that Qwen3-VL needs for videos. Loaded by verl, in verl's environment.

Two things are put right:
- transformers 5.9 and vLLM 0.24, which verl pins, put the frames in place of the vision marks that the chat template
  writes around a video; later ones, and this project's engines, keep the marks. Written twice, one pair stays.
- verl's processor expands every video into frame times and visual tokens, and vLLM 0.24, which expands its prompt
  itself, refuses that (verl's issue 5024). This loop gives vLLM one placeholder for each video.

Example:
    - name: viubench                                   # the file actor_rollout_ref.rollout.agent.agent_loop_config_path
      _target_: trainer.verl.agent_loop.VideoAgentLoop
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from verl.experimental.agent_loop import single_turn_agent_loop as verl_loop  # type: ignore[import-not-found]

from trainer.verl import PINS

START, PAD, END = "<|vision_start|>", "<|video_pad|>", "<|vision_end|>"


@cache
def require_pins() -> None:
    """Raises RuntimeError for other versions: rollout and loss would read different prompts, and nothing would fail."""
    for name, series in PINS.items():
        if not version(name).startswith(f"{series}."):
            raise RuntimeError(f"viubench's prompts for verl are made for {name} {series}, not {version(name)}")


class VideoAgentLoop(verl_loop.SingleTurnAgentLoop):  # type: ignore[misc]
    """One question, one answer; verl makes a new loop for every answer."""

    def __init__(self, *args: Any, server_manager: Any, **more: Any) -> None:
        require_pins()
        super().__init__(*args, server_manager=Unexpanded(server_manager), **more)
        self.continuous_token_builder.processor = Marked(self.processor)

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> Any:
        """The answer; `extra_fields` has for the reward function whether the token limit cut it."""
        output = await super().run(sampling_params, **row)
        answer = output.response_ids
        output.extra_fields["cut"] = len(answer) >= self.response_length and answer[-1] != self.tokenizer.eos_token_id
        return output

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], *args: Any, **media: Any) -> list[int]:
        """The prompt of the training; the one for vLLM is kept for its request."""
        expanded: list[int] = await super().ct_build_initial_tokens(messages, *args, **media)
        text = Marked(self.processor).apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **self.apply_chat_template_kwargs
        )
        self.server_manager.prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return expanded


class Marked:
    """A processor whose prompts keep the vision marks around a video."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.processor, name)

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        return self.processor(*args, **inputs)

    def apply_chat_template(self, *args: Any, **settings: Any) -> str:
        """The prompt before its videos are expanded, with two pairs of marks around each."""
        text: str = self.processor.apply_chat_template(*args, **settings)
        return text.replace(START + PAD + END, 2 * START + PAD + 2 * END)


class Unexpanded:
    """A client of verl's rollout servers that sends `prompt` in place of the prompt it is given."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.prompt: list[int] = []

    async def generate(self, *, prompt_ids: list[int], **request: Any) -> Any:
        return await self.client.generate(prompt_ids=self.prompt, **request)
