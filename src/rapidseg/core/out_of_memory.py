"""Recognizing that memory ran out, whoever says so."""

from __future__ import annotations

_WORDS = (
    *("out of memory", "insufficient memory", "failed to allocate", "could not allocate", "unable to allocate"),
    *("allocator: not enough memory", "cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
    *("bad_alloc", "bad allocation", "cannot allocate memory", "can't allocate memory"),
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Returns whether an error says that memory ran out: Python's and NumPy's `MemoryError`, or the texts of others.

    OpenCV, OpenVINO, ONNX Runtime, PyTorch and Pillow's decoders have types of their own for it, without a common base.
    """
    while error is not None:
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(words in text for words in _WORDS):
            return True
        error = error.__cause__
    return False
