"""`StoredTensor`: a tensor in a file, whose values are read on demand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rapidseg.checkpoints.limits import MAX_AXES, MAX_BYTES


class UnreadableError(Exception):
    """A file cannot be read; the text says why, and follows the name of the file in the message to the user."""


# Names of PyTorch's types -> NumPy's. NumPy has no bfloat16; it is the upper half of a float32.
DTYPES: dict[str, np.dtype] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "complex64": np.dtype("<c8"),
    "complex128": np.dtype("<c16"),
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint64": np.dtype("<u8"),
    "uint32": np.dtype("<u4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}
RUNNING_MEAN, COUNTER = "running_mean", "num_batches_tracked"  # of a batch norm, at the end of their names
_FLOATING = ("float64", "float32", "float16", "bfloat16")


@dataclass(eq=False)
class Storage:
    """The memory that one or several tensors are views of.

    Attributes:
        key: its name in the file.
        dtype: of its elements; None where each tensor has its own.
        num_bytes: its size.
        big_endian: whether the first byte of an element is the highest.
        data: (num_bytes,) uint8; empty until the file's reader has found it.
    """

    key: str
    dtype: str | None
    num_bytes: int
    big_endian: bool = False
    data: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A strided view of a storage.

    Attributes:
        storage: what it is a view of.
        dtype: PyTorch's name of the type, such as `bfloat16`.
        shape: the sizes of its axes.
        strides: elements from one entry of an axis to the next.
        offset: elements before the first.
    """

    storage: Storage
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @classmethod
    def make(
        cls, storage: Storage, dtype: str, shape: Sequence[int], strides: Sequence[int], offset: int
    ) -> StoredTensor:
        """Returns a view after checking that all of it lies inside the storage, and that NumPy can describe it.

        Raises:
            UnreadableError: it does not, or a number is negative, too large or not an integer.
        """
        if max(len(shape), len(strides)) > MAX_AXES:  # first, since everything below takes a product of sizes
            raise UnreadableError(f"a tensor has {max(len(shape), len(strides))} axes; {MAX_AXES} are possible")
        item_bytes = DTYPES[dtype].itemsize
        numbers = (*shape, *strides, offset)
        if not all(type(number) is int and 0 <= number <= MAX_BYTES // item_bytes for number in numbers):
            raise UnreadableError("a size, stride or offset of a tensor is negative, too large or not an integer")
        if len(shape) != len(strides):
            raise UnreadableError(f"a tensor has {len(shape)} sizes and {len(strides)} strides")
        if math.prod(size for size in shape if size) * item_bytes > MAX_BYTES:
            raise UnreadableError(f"a tensor has the shape {tuple(shape)!r:.80}, which is too large")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if math.prod(shape) and (last + 1) * item_bytes > storage.num_bytes:
            raise UnreadableError(
                f"a tensor reaches to byte {(last + 1) * item_bytes} of storage {storage.key!r:.80}, which has "
                f"{storage.num_bytes}"
            )
        return cls(storage, dtype, tuple(shape), tuple(strides), offset)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Bytes of its elements if each is counted, also where strides repeat them."""
        return self.size * DTYPES[self.dtype].itemsize

    @property
    def is_floating(self) -> bool:
        """Whether its elements are real numbers."""
        return self.dtype in _FLOATING

    @property
    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.dtype.startswith("complex")

    def raw(self) -> np.ndarray:
        """Returns its elements as they are stored, without a copy where possible; bfloat16 as uint16."""
        dtype = DTYPES[self.dtype]
        if self.size == 0:
            return np.zeros(self.shape, dtype)
        data = self.storage.data
        if data.size != self.storage.num_bytes:
            raise UnreadableError(f"storage {self.storage.key!r:.80} has {data.size} of {self.storage.num_bytes} bytes")
        elements = data[: data.size - data.size % dtype.itemsize].view(
            dtype.newbyteorder(">") if self.storage.big_endian else dtype
        )[self.offset :]
        strides = [stride * dtype.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(elements, self.shape, strides, writeable=False)

    def numpy(self) -> np.ndarray:
        """Returns its values; bfloat16 and float16 as float32, which holds each of them exactly."""
        values = self.raw()
        if self.dtype == "bool":
            return values.view(np.uint8) != 0  # as PyTorch; NumPy leaves open what other bytes than 0 and 1 mean
        if self.dtype == "bfloat16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        if self.dtype == "float16":
            return values.astype(np.float32)
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def equals(self, other: StoredTensor) -> bool:
        """Returns whether two tensors have the same shape and values."""
        if self.shape != other.shape:
            return False
        mine = (id(self.storage), self.dtype, self.strides, self.offset)
        if mine == (id(other.storage), other.dtype, other.strides, other.offset):
            return True
        return bool(np.array_equal(self.numpy(), other.numpy()))


def with_counters(state: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Returns a state with a `num_batches_tracked` of int64 beside each running mean.

    Older PyTorch did not store that counter, some programs write it in another type, and prediction ignores it.
    """
    zero = StoredTensor.make(Storage("counter", "int64", 8, data=np.zeros(8, np.uint8)), "int64", (), (), 0)
    means = [name for name in state if name.endswith(RUNNING_MEAN)]
    counters = {name.removesuffix(RUNNING_MEAN) + COUNTER: zero for name in means}
    odd = [name for name in counters if name in state and (state[name].dtype, state[name].shape) != ("int64", ())]
    return {**counters, **state, **dict.fromkeys(odd, zero)}
