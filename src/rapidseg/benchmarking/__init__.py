"""Trustworthy speed measurements: per stage, interleaved, each configuration in its own process.

`run_benchmark` compares configurations; `run_tuning` selects the one that meets a target. Only `eager.py` imports
PyTorch, and it runs only for the comparison with eager PyTorch. This file imports nothing, so that a measuring process
loads only the code that it measures.
"""
