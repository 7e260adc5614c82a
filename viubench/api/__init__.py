"""The Python API: evaluate, score, compare and gate models, and read runs. `viubench` exports all of it.

Example:
    run = viubench.evaluate("Qwen/Qwen3-VL-8B-Instruct", "viubench-mini", videos="my_clips")
    run.summary()
"""
