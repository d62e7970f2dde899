"""Helpers that several test modules share.

- `data_folders`, `polygon_files`, `block_scenes`: small data sets of real files.
- `tiny_onnx`, `brightness_onnx`, `published`: model files and checkpoints.
- `traces`: traces of networks, kept for later exports.
- `fake_networks`, `evaluated_runs`: engines and evaluations without a network.
- `official_scripts`: the scripts of Cityscapes, for parity tests.
- `web_server`: a server that can break off, redirect and refuse.
"""
