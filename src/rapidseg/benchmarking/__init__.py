"""Speed, measured so that it can be believed: every stage, in turns, each configuration in a process of its own.

`benchmark.run_benchmark` compares ways to run models; `tuning.tune` takes the one that fits a wish. Nothing here
imports PyTorch but `eager.py`, which runs only where ours is compared with plain PyTorch. This file imports nothing,
so that a process that measures loads only what it measures.
"""
