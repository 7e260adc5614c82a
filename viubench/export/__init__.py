"""Hands viubench's tasks to other tools: real video files, plain rows, and viubench's own scoring behind them.

Example:
    viubench export lmms-eval --tasks viubench-mini --videos clips --out exported
"""
