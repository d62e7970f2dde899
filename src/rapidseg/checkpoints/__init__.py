"""Reads files of weights as NumPy arrays, without PyTorch and without running code from them.

    from rapidseg.checkpoints import read_checkpoint

    checkpoint = read_checkpoint("model.pth")
    checkpoint.content["state_dict"]["conv.weight"].numpy()

PyTorch's two formats (the zip archive of version 1.6 and later, and the older sequence of pickles) and safetensors are
recognized by their content. Files are mapped into memory: a tensor's values are read when `numpy()` is called.
"""

from __future__ import annotations

from rapidseg.checkpoints.comparison import checksum, list_misfits
from rapidseg.checkpoints.legacy_format import LEGACY_BEGINNING
from rapidseg.checkpoints.pickled_values import OpaqueValue
from rapidseg.checkpoints.reading import Checkpoint, read_checkpoint
from rapidseg.checkpoints.stored_tensor import StoredTensor, with_counters

__all__ = [
    "LEGACY_BEGINNING",
    "Checkpoint",
    "OpaqueValue",
    "StoredTensor",
    "checksum",
    "list_misfits",
    "read_checkpoint",
    "with_counters",
]
