"""Reads the pickles of CIFAR's Python version without running code of theirs.

A pickle names the functions that build its objects, and unpickling calls them: a prepared file can call any. Here every
name that a NumPy array needs stands for a small class of this module that only keeps its arguments, every other name is
rejected, and the array is made from the kept bytes.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import Any

import numpy as np

from rapidseg.core.errors import DatasetError

_UINT8 = ("u1", "uint8", "|u1", "B")


def load_cifar_pickle(content: bytes, name: str) -> dict[str, Any]:
    """Reads a pickled dictionary of numbers, texts, lists and uint8 arrays, as Python 2 or 3 wrote it.

    Args:
        content: the bytes of the file.
        name: what messages call the file.

    Returns:
        Its values by key. Texts that Python 2 wrote are bytes; the keys are texts.

    Raises:
        DatasetError: it is damaged, holds something else, or asks for code to be run.
    """
    try:
        values = _Unpickler(io.BytesIO(content), name).load()
        if isinstance(values, dict):
            return {_as_text(key): _to_array(value) for key, value in values.items()}
    except DatasetError:
        raise
    except Exception as error:  # damaged pickles raise nearly any type
        raise DatasetError(
            f"{name}: damaged or cut off, or not a file of CIFAR's Python version ({error}); download it again"
        ) from error
    raise DatasetError(f"{name} holds a {type(values).__name__}, not a CIFAR dictionary; download it again")


def _as_text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _to_array(value: Any) -> Any:
    return value.to_array() if isinstance(value, _PickledArray) else value


class _PickledClass:
    """Stands for `numpy.ndarray` as an argument."""


class _PickledDtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, kind: Any, *_: Any) -> None:
        self.kind = _as_text(kind)

    def __setstate__(self, state: Any) -> None:
        """Ignores byte order and alignment, which single bytes do not have."""


class _PickledArray:
    """Stands for `_reconstruct`, which makes an empty array that its state fills."""

    def __init__(self, *_: Any) -> None:
        self._shape: tuple[int, ...] = (0,)
        self._content: bytes = b""

    def __setstate__(self, state: Any) -> None:
        _, self._shape, dtype, is_fortran, content = state
        _check_layout(dtype, is_fortran)
        self._content = content.encode("latin1") if isinstance(content, str) else bytes(content)

    def to_array(self) -> np.ndarray:
        if len(self._content) != math.prod(self._shape):
            raise ValueError(f"an array of shape {self._shape} with {len(self._content)} bytes")
        return np.frombuffer(self._content, np.uint8).reshape(self._shape)


def _array_from_buffer(content: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _PickledArray:
    """Stands for `_frombuffer`, with which protocol 5 makes arrays."""
    array = _PickledArray()
    array.__setstate__((1, tuple(shape), dtype, order != "C", content))
    return array


def _check_layout(dtype: Any, is_fortran: Any) -> None:
    if not isinstance(dtype, _PickledDtype) or dtype.kind not in _UINT8 or is_fortran:
        raise ValueError("an array that is not of uint8 in C order")


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Stands for `_codecs.encode`, with which Python 3 writes bytes for Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    """Stands for `bytes`, with which Python 3 writes empty bytes for Python 2."""
    return b""


_CORES = ("numpy.core", "numpy._core")  # before and since NumPy 2
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _PickledClass,
    ("numpy", "dtype"): _PickledDtype,
    ("_codecs", "encode"): _encode_latin1,
    ("__builtin__", "bytes"): _empty_bytes,
    **{(f"{core}.multiarray", "_reconstruct"): _PickledArray for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _array_from_buffer for core in _CORES},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file, fix_imports=False, encoding="bytes")
        self._name = name

    def find_class(self, module_name: str, global_name: str) -> Any:
        stand_in = _STAND_INS.get((module_name, global_name))
        if stand_in is None:
            raise DatasetError(
                f"{self._name}: this pickle asks for {module_name}.{global_name}, which no CIFAR file needs and which "
                "may run code; nothing was run. Download the file again from a source that you trust"
            )
        return stand_in
