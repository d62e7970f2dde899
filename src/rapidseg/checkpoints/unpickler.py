"""A reader of pickles that makes tensors and plain values, and nothing else.

A pickle is a program for a stack machine (`pickletools` in Python's library describes the instructions). Python's own
machine calls whatever function a file names. This one knows seven functions, which make tensors and dictionaries; what
any other name would make becomes an `OpaqueValue`, and the name is never looked up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from rapidseg.checkpoints.stored_tensor import DTYPES, Storage, StoredTensor, UnreadableError

StorageReader = Callable[["StorageType", str, int, Any], Storage]
"""Is called with type, key, number of elements and view; returns the storage that a persistent id names."""

_MAX_VALUES = 2_000_000  # that a file may make: an instruction of one byte makes an empty dictionary of 64
_MAX_KEY = 1 << 60  # larger integers can be chosen so that a dictionary takes quadratic time
_MAX_DIGITS = 4000  # of an integer in text, which takes quadratic time

_STORAGE_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": None,
}
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")
_DTYPE_NAMES = {name: name for name in DTYPES} | {"double": "float64", "float": "float32", "half": "float16"}


class OpaqueValue:
    """A value that is not read, because making it would run code.

    Attributes:
        name: of the class or function that makes it, such as `argparse.Namespace`.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


class StorageType:
    """The type of a storage, such as `torch.FloatStorage`; `dtype` is None for bytes of any type."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: str | None) -> None:
        self.dtype = dtype


class _Dtype:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Function:
    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
    if isinstance(storage, OpaqueValue):
        return storage
    if not isinstance(storage, Storage) or storage.dtype is None:
        raise UnreadableError("a tensor has no storage of a known type")
    return StoredTensor.make(storage, storage.dtype, _as_tuple(size), _as_tuple(stride), offset)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any
) -> Any:
    if isinstance(storage, OpaqueValue) or isinstance(dtype, OpaqueValue):
        return OpaqueValue(dtype.name if isinstance(dtype, OpaqueValue) else storage.name)
    if not isinstance(storage, Storage) or not isinstance(dtype, _Dtype):
        raise UnreadableError("a tensor has no storage of a known type")
    return StoredTensor.make(storage, dtype.name, _as_tuple(size), _as_tuple(stride), offset)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _rebuild_from_type(function: Any, type_: Any, arguments: Any, *_: Any) -> Any:
    if isinstance(function, OpaqueValue):
        return OpaqueValue(function.name)
    if not isinstance(function, _Function):
        raise UnreadableError("a tensor is made by something that is not a function")
    return function.call(*_as_tuple(arguments))


def _make_dict(*arguments: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    if arguments and isinstance(arguments[0], (list, tuple)):
        for pair in arguments[0]:
            key, value = _as_tuple(pair)
            made[_as_key(key)] = value
    elif arguments and isinstance(arguments[0], dict):
        made.update(arguments[0])
    return made


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "collections.OrderedDict": _make_dict,
    "collections.defaultdict": lambda *_: {},
    "torch.Size": lambda sizes=(): _as_tuple(sizes),
}


class Unpickler:
    """Reads one pickle.

    Args:
        data: the bytes that begin with it.
        read_storage: finds storages.
        position: of its first byte.

    Attributes:
        position: after `load`, that of the first byte behind the pickle.
        opaque: names of what was not read, in the order of the file.
    """

    def __init__(self, data: memoryview, read_storage: StorageReader, position: int = 0) -> None:
        self._data = data
        self._read_storage = read_storage
        self.position = position
        self.opaque: dict[str, None] = {}
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Returns the value.

        Raises:
            UnreadableError: the pickle is damaged, cut off, too long, or has instructions that files of weights lack.
        """
        for _ in range(_MAX_VALUES):
            opcode = self._take(1)[0]
            if opcode == _STOP:
                return self._pop()
            instruction = _INSTRUCTIONS.get(opcode)
            if instruction is None:
                raise UnreadableError(f"it is not a pickle of weights (instruction {opcode:#04x})")
            instruction(self)
        raise UnreadableError(f"it holds more than {_MAX_VALUES} values; save only the weights")

    # Bytes.

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise UnreadableError("it ends too early")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        start, size = self.position, 1 << 8
        while True:
            part = bytes(self._data[start : start + size])
            if b"\n" in part:
                line = part[: part.index(b"\n")]
                self.position = start + len(line) + 1
                return line.decode("utf-8").rstrip("\r")
            if start + size >= len(self._data):
                raise UnreadableError("it ends too early")
            size *= 2

    def _text(self, form: str, encoding: str = "utf-8") -> str:
        return bytes(self._take(self._number(form))).decode(
            encoding, "surrogatepass" if encoding == "utf-8" else "strict"
        )

    # The stack.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise UnreadableError("it is not a pickle of weights (its stack is empty)")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise UnreadableError("it is not a pickle of weights (its stack is empty)")
        return self._stack[-1]

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise UnreadableError("it is not a pickle of weights (a mark is missing)")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _store(self, index: int) -> None:
        self._memo[index] = self._top()

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise UnreadableError("it is not a pickle of weights (a value is used before it is made)")
        self._push(self._memo[index])

    # Values.

    def _add_pairs(self, target: Any, items: list[Any]) -> None:
        if len(items) % 2:
            raise UnreadableError("it is not a pickle of weights (a key without a value)")
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                target[_as_key(key)] = value
        elif not isinstance(target, OpaqueValue):
            raise UnreadableError("it is not a pickle of weights (keys for something that is not a dictionary)")

    def _add_items(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, OpaqueValue):
            raise UnreadableError("it is not a pickle of weights (items for something that is not a list)")

    def _make_global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise UnreadableError("it is not a pickle of weights (a name is not text)")
        full = f"{module}.{name}"
        if full in _FUNCTIONS:
            self._push(_Function(_FUNCTIONS[full]))
        elif module in _STORAGE_MODULES and name in _STORAGE_TYPES:
            self._push(StorageType(_STORAGE_TYPES[name]))
        elif module == "torch" and name in _DTYPE_NAMES:
            self._push(_Dtype(_DTYPE_NAMES[name]))
        else:
            self._push(OpaqueValue(full))

    def _call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, _Function):
            try:
                self._push(function.call(*_as_tuple(arguments)))
            except TypeError as error:
                raise UnreadableError("it is not a pickle of weights (wrong arguments)") from error
        elif isinstance(function, OpaqueValue):
            self.opaque.setdefault(function.name)
            self._push(OpaqueValue(function.name))
        else:
            raise UnreadableError("it is not a pickle of weights (a call of something that is not a function)")

    def _reduce(self) -> None:
        arguments = self._pop()
        self._call(self._pop(), arguments)

    def _new_object(self) -> None:
        arguments = self._pop()
        class_ = self._pop()
        if isinstance(class_, _Function):
            self._call(class_, arguments)
        else:
            self._call(class_, ())

    def _new_object_with_names(self) -> None:
        self._pop()
        self._new_object()

    def _build(self) -> None:
        self._pop()  # attributes, such as `_metadata` of a state dict
        if not isinstance(self._top(), (OpaqueValue, dict, StoredTensor)):
            raise UnreadableError("it is not a pickle of weights (attributes for a plain value)")

    def _persistent(self) -> None:
        identity = self._pop()
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] not in ("storage", b"storage"):
            raise UnreadableError("it refers to something outside of the file that is not a tensor's storage")
        type_, key, _, count = identity[1:5]
        if isinstance(type_, OpaqueValue):
            self.opaque.setdefault(type_.name)
            self._push(OpaqueValue(type_.name))
            return
        if not isinstance(type_, StorageType) or type(count) is not int or count < 0:
            raise UnreadableError("a storage has no type or no size")
        if not isinstance(key, (str, int)):
            raise UnreadableError("a storage has no name")
        view = identity[5] if len(identity) > 5 else None
        self._push(self._read_storage(type_, str(key), count, view))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(value)
    raise UnreadableError("it is not a pickle of weights (a list is missing)")


def _as_key(key: Any) -> Any:
    """Returns a key of a dictionary; keys that cannot be used as such, or only slowly, become unique."""
    if isinstance(key, (str, bytes)) or key is None:
        return key
    if isinstance(key, int) and abs(key) < _MAX_KEY:
        return key
    return OpaqueValue(type(key).__name__)


def _integer(text: str) -> int | bool:
    if text in ("00", "01"):
        return text == "01"
    if len(text) > _MAX_DIGITS:
        raise UnreadableError("an integer has too many digits")
    return int(text.removesuffix("L"))


def _float(text: str) -> float:
    if len(text) > _MAX_DIGITS:
        raise UnreadableError("a number has too many digits")
    return float(text)


def _quoted(text: str) -> str:
    """Returns a text of pickle's first protocol, which is quoted; escapes do not occur in names of tensors."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        raise UnreadableError("it is not a pickle of weights (a text without quotes)")
    return text[1:-1]


def _little(data: memoryview) -> int:
    return int.from_bytes(data, "little", signed=True)


_Instruction = Callable[[Unpickler], Any]


def _pushes(make: Callable[[Unpickler], Any]) -> _Instruction:
    return lambda machine: machine._push(make(machine))


def _popped(machine: Unpickler, count: int) -> tuple[Any, ...]:
    return tuple(machine._pop() for _ in range(count))[::-1]


def _pop_or_mark(machine: Unpickler) -> None:
    if machine._stack:
        machine._stack.pop()
    else:
        machine._pop_mark()


def _made_from_pairs(machine: Unpickler) -> dict[Any, Any]:
    items = machine._pop_mark()
    made: dict[Any, Any] = {}
    machine._add_pairs(made, items)
    return made


def _append(machine: Unpickler) -> None:
    item = machine._pop()
    machine._add_items(machine._top(), [item])


def _appends(machine: Unpickler) -> None:
    items = machine._pop_mark()
    machine._add_items(machine._top(), items)


def _set_item(machine: Unpickler) -> None:
    value, key = machine._pop(), machine._pop()
    machine._add_pairs(machine._top(), [key, value])


def _set_items(machine: Unpickler) -> None:
    items = machine._pop_mark()
    machine._add_pairs(machine._top(), items)


def _add_to_set(machine: Unpickler) -> None:
    machine._pop_mark()
    if not isinstance(machine._top(), OpaqueValue):
        raise UnreadableError("it is not a pickle of weights (items for something that is not a set)")


def _freeze(machine: Unpickler) -> OpaqueValue:
    machine._pop_mark()
    return OpaqueValue("frozenset")


def _stack_global(machine: Unpickler) -> None:
    name, module = machine._pop(), machine._pop()
    machine._make_global(module, name)


def _old_object(machine: Unpickler) -> None:
    items = machine._pop_mark()
    if not items:
        raise UnreadableError("it is not a pickle of weights (an object without a class)")
    machine._call(items[0], tuple(items[1:]))


def _old_instance(machine: Unpickler) -> None:
    module, name = machine._line(), machine._line()
    arguments = tuple(machine._pop_mark())
    machine._make_global(module, name)
    machine._call(machine._pop(), arguments)


_STOP = ord(".")
_INSTRUCTIONS: dict[int, _Instruction] = {
    ord(code): instruction
    for code, instruction in {
        "\x80": lambda m: m._take(1),  # PROTO
        "\x95": lambda m: m._take(8),  # FRAME
        "(": Unpickler._mark,
        "0": _pop_or_mark,
        "1": Unpickler._pop_mark,
        "2": _pushes(Unpickler._top),  # DUP
        "N": _pushes(lambda m: None),
        "\x88": _pushes(lambda m: True),
        "\x89": _pushes(lambda m: False),
        "I": _pushes(lambda m: _integer(m._line())),
        "L": _pushes(lambda m: _integer(m._line())),
        "J": _pushes(lambda m: m._number("<i")),
        "K": _pushes(lambda m: m._number("<B")),
        "M": _pushes(lambda m: m._number("<H")),
        "\x8a": _pushes(lambda m: _little(m._take(m._number("<B")))),  # LONG1
        "\x8b": _pushes(lambda m: _little(m._take(m._number("<i")))),  # LONG4
        "F": _pushes(lambda m: _float(m._line())),
        "G": _pushes(lambda m: m._number(">d")),
        "S": _pushes(lambda m: _quoted(m._line())),
        "T": _pushes(lambda m: m._text("<i", "latin-1")),
        "U": _pushes(lambda m: m._text("<B", "latin-1")),
        "V": _pushes(lambda m: m._line()),
        "X": _pushes(lambda m: m._text("<I")),
        "\x8c": _pushes(lambda m: m._text("<B")),
        "\x8d": _pushes(lambda m: m._text("<Q")),
        "B": _pushes(lambda m: bytes(m._take(m._number("<I")))),
        "C": _pushes(lambda m: bytes(m._take(m._number("<B")))),
        "\x8e": _pushes(lambda m: bytes(m._take(m._number("<Q")))),
        "\x96": _pushes(lambda m: bytes(m._take(m._number("<Q")))),  # BYTEARRAY8
        ")": _pushes(lambda m: ()),
        "\x85": _pushes(lambda m: _popped(m, 1)),
        "\x86": _pushes(lambda m: _popped(m, 2)),
        "\x87": _pushes(lambda m: _popped(m, 3)),
        "t": _pushes(lambda m: tuple(m._pop_mark())),
        "]": _pushes(lambda m: []),
        "l": _pushes(Unpickler._pop_mark),
        "a": _append,
        "e": _appends,
        "}": _pushes(lambda m: {}),
        "d": _pushes(_made_from_pairs),
        "s": _set_item,
        "u": _set_items,
        "\x8f": _pushes(lambda m: OpaqueValue("set")),
        "\x90": _add_to_set,
        "\x91": _pushes(_freeze),
        "p": lambda m: m._store(int(m._line())),
        "q": lambda m: m._store(m._number("<B")),
        "r": lambda m: m._store(m._number("<I")),
        "\x94": lambda m: m._store(len(m._memo)),
        "g": lambda m: m._recall(int(m._line())),
        "h": lambda m: m._recall(m._number("<B")),
        "j": lambda m: m._recall(m._number("<I")),
        "c": lambda m: m._make_global(m._line(), m._line()),
        "\x93": _stack_global,
        "R": Unpickler._reduce,
        "\x81": Unpickler._new_object,
        "\x92": Unpickler._new_object_with_names,
        "b": Unpickler._build,
        "o": _old_object,
        "i": _old_instance,
        "Q": Unpickler._persistent,
    }.items()
}
