"""Measurements on one large GPU, by `tests/gpu/run.sh`: a GRPO step, answers by the hf engine, decoding on its cores.

Example:
    PYTHON=.venv/bin/python tests/gpu/run.sh runs/gpu
    PYTHON=.venv/bin/python tests/gpu/run.sh runs/gpu --device cpu --shape tiny     # the same code, on any machine
"""
