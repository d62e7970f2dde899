"""A reader of pickles that makes tensors and plain values, and nothing else.

A pickle is a program for a stack machine (`pickletools` in Python's library describes the instructions). Python's own
machine calls whatever function a file names. This one knows nine, which make tensors and dictionaries; what any other
name would make becomes an `OpaqueValue`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from rapidseg.checkpoints.limits import MAX_VALUES
from rapidseg.checkpoints.pickle_instructions import INSTRUCTIONS
from rapidseg.checkpoints.pickled_values import (
    Function,
    OpaqueValue,
    StorageType,
    as_key,
    as_storage_key,
    find_global,
    invalid,
    opaque_result,
    rebuild_from_type,
)
from rapidseg.checkpoints.stored_tensor import Storage, StoredTensor, UnreadableError

StorageReader = Callable[[StorageType, str, int, Any], Storage]
"""Is called with type, key, number of elements and view; returns the storage that a persistent id names."""

_OBJECT_COST = 8  # values that a tensor, a storage or a name counts as, since it takes as much memory
_STOP = ord(".")


class Unpickler:
    """Reads one pickle.

    Args:
        data: the bytes that begin with it.
        read_storage: finds storages.
        position: of its first byte.

    Attributes:
        position: after `load`, the offset of the first byte behind the pickle.
        opaque: names of the classes and functions that were skipped, in the order of the file.
    """

    def __init__(self, data: memoryview, read_storage: StorageReader, position: int = 0) -> None:
        self._data = data
        self._read_storage = read_storage
        self.position = position
        self.opaque: dict[str, None] = {}
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._max_values = self._values_left = MAX_VALUES

    def load(self) -> Any:
        """Returns the value.

        Raises:
            UnreadableError: the pickle is damaged, cut off, too long, or has instructions that files of weights lack.
        """
        while (opcode := self.take(1)[0]) != _STOP:
            instruction = INSTRUCTIONS.get(opcode)
            if instruction is None:
                raise invalid(f"unknown instruction {opcode:#04x}")
            self._spend(1)
            instruction(self)
        return self.pop()

    def _spend(self, count: int) -> None:
        """Counts values that an instruction makes or copies, so that time and memory stay bounded."""
        self._values_left -= count
        if self._values_left < 0:
            raise UnreadableError(f"it holds more than {self._max_values} values; save only the weights")

    # Bytes.

    def take(self, count: int) -> memoryview:
        """Returns the next bytes of the pickle."""
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise UnreadableError("it ends too early")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def number(self, form: str) -> Any:
        """Returns the next number, in a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        """Returns the bytes up to the end of the line, without it."""
        start, size = self.position, 1 << 8
        while True:
            part = bytes(self._data[start : start + size])
            length = part.find(b"\n")
            if length >= 0:
                self.position = start + length + 1
                return part[:length].rstrip(b"\r")
            if start + size >= len(self._data):
                raise UnreadableError("it ends too early")
            size *= 2

    # The stack.

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Takes the last value from the stack."""
        if not self._stack:
            raise invalid("its stack is empty")
        return self._stack.pop()

    def top(self) -> Any:
        """Returns the last value of the stack."""
        if not self._stack:
            raise invalid("its stack is empty")
        return self._stack[-1]

    def mark(self) -> None:
        """Begins a list of arguments."""
        self._marks.append(self._stack)
        self._stack = []

    def pop_mark(self) -> list[Any]:
        """Takes all values since the last mark from the stack, and the mark."""
        if not self._marks:
            raise invalid("a mark is missing")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def pop_value_or_mark(self) -> None:
        """Drops the last value or, if there is none since it, the last mark."""
        if self._stack:
            self._stack.pop()
        else:
            self.pop_mark()

    def store(self, index: int | None = None) -> None:
        """Keeps the last value under a number, by default the next."""
        self._memo[len(self._memo) if index is None else index] = self.top()

    def recall(self, index: int) -> None:
        """Puts a value that was kept on the stack."""
        if index not in self._memo:
            raise invalid("a value is used before it is made")
        self.push(self._memo[index])

    # Values.

    def add_pairs(self, target: Any, items: list[Any]) -> None:
        """Adds keys and values, which follow each other, to a dictionary."""
        if len(items) % 2:
            raise invalid("a key has no value")
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                target[as_key(key)] = value
        elif not isinstance(target, OpaqueValue):
            raise invalid("keys for something that is not a dictionary")

    def add_items(self, target: Any, items: list[Any]) -> None:
        """Appends items to a list."""
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, OpaqueValue):
            raise invalid("items for something that is not a list")

    def push_global(self, module: Any, name: Any) -> None:
        """Pushes what a name stands for."""
        self._spend(_OBJECT_COST)
        self.push(find_global(module, name))

    def call(self, function: Any, arguments: Any) -> None:
        """Pushes the result of a function."""
        if not isinstance(function, OpaqueValue):
            raise invalid("a call of something that is not a function")
        if isinstance(function, Function):
            result = self._run(function, arguments)
        else:
            result = opaque_result(function, arguments)
        if isinstance(result, OpaqueValue):
            self.opaque.setdefault(result.name)
        self.push(result)

    def _run(self, function: Function, arguments: Any) -> Any:
        if not isinstance(arguments, (tuple, list)):
            raise invalid("a function has no arguments")
        if function.call is rebuild_from_type:  # (function, class, its arguments, attributes)
            inner = arguments[0] if len(arguments) >= 3 else None
            if isinstance(inner, Function) and inner.call is not rebuild_from_type:
                return self._run(inner, arguments[2])
            if isinstance(inner, OpaqueValue) and not isinstance(inner, Function):
                return OpaqueValue(inner.name)
        self._spend(_OBJECT_COST + len(arguments))
        self._spend(sum(len(value) for value in arguments if isinstance(value, (tuple, list, dict))))
        try:
            return function.call(*arguments)
        except TypeError as error:
            raise invalid("a function has the wrong arguments") from error

    def reduce(self) -> None:
        """Calls a function."""
        arguments = self.pop()
        self.call(self.pop(), arguments)

    def build(self) -> None:
        """Drops attributes, such as `_metadata` of a state dict."""
        self.pop()
        if not isinstance(self.top(), (OpaqueValue, dict, StoredTensor)):
            raise invalid("attributes for a plain value")

    def persistent(self) -> None:
        """Pushes what a persistent id names: a storage, or the class of a network in PyTorch's older format."""
        identity = self.pop()
        kind = identity[0] if isinstance(identity, tuple) and identity else None
        if kind in ("module", b"module") and len(identity) > 1 and isinstance(identity[1], OpaqueValue):
            self.push(identity[1])
            return
        if kind not in ("storage", b"storage") or len(identity) < 5:
            raise UnreadableError("it refers to something outside of the file that is not a tensor's storage")
        type_, key, _, count = identity[1:5]
        self._spend(_OBJECT_COST)
        if isinstance(type_, StorageType):
            if type(count) is not int or count < 0:
                raise invalid("a storage has no size")
            view = identity[5] if len(identity) > 5 else None
            self.push(self._read_storage(type_, as_storage_key(key), count, view))
        elif isinstance(type_, OpaqueValue):
            self.opaque.setdefault(type_.name)
            self.push(OpaqueValue(type_.name))
        else:
            raise invalid("a storage has no type")
