"""The agent loop under its old path, which hand-overs exported by earlier versions name in verl_agent.yaml."""

from trainer.verl.agent_loop import VideoAgentLoop

__all__ = ["VideoAgentLoop"]
