"""What names in a pickle stand for: the few that make tensors and dictionaries, and everything else.

Names are compared with the tables below, and never looked up in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rapidseg.checkpoints.limits import MAX_AXES, is_name
from rapidseg.checkpoints.stored_tensor import DTYPES, Storage, StoredTensor, UnreadableError

_MAX_KEY = 1 << 60  # larger integers can be chosen so that a dictionary takes quadratic time

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

# Functions that make an object of the class that is their first argument.
_MAKERS = ("copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__")


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


class StorageType(OpaqueValue):
    """The type of a storage, such as `torch.FloatStorage`; `dtype` is None for bytes of any type."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, dtype: str | None) -> None:
        super().__init__(name)
        self.dtype = dtype


class Dtype(OpaqueValue):
    """A type of PyTorch's, by its name in `DTYPES`."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, dtype: str) -> None:
        super().__init__(name)
        self.dtype = dtype


class Function(OpaqueValue):
    """One of the functions below, which may be called."""

    __slots__ = ("call",)

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        super().__init__(name)
        self.call = call


def invalid(reason: str) -> UnreadableError:
    """Returns the error about bytes that no program writes as a pickle of weights."""
    return UnreadableError(f"not a valid pickle of weights: {reason}")


def find_global(module: Any, name: Any) -> OpaqueValue:
    """Returns what a name stands for: a function, a type, or an opaque value.

    Raises:
        UnreadableError: it is not a name.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        raise invalid("a name is not text")
    if not is_name(module) or not is_name(name):
        raise invalid("a name is too long or not printable")
    full = f"{module}.{name}"
    if full in _FUNCTIONS:
        return Function(full, _FUNCTIONS[full])
    if module in _STORAGE_MODULES and name in _STORAGE_TYPES:
        return StorageType(full, _STORAGE_TYPES[name])
    if module == "torch" and name in _DTYPE_NAMES:
        return Dtype(full, _DTYPE_NAMES[name])
    return OpaqueValue(full)


def opaque_result(function: OpaqueValue, arguments: Any) -> OpaqueValue:
    """Returns what calling an unknown name would make, named after its class where the call tells it."""
    if function.name in _MAKERS and isinstance(arguments, tuple) and arguments:
        class_ = arguments[0]
        return OpaqueValue(class_.name if isinstance(class_, OpaqueValue) else function.name)
    return OpaqueValue(function.name)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Returns a tuple or list as a tuple."""
    if isinstance(value, (tuple, list)):
        return tuple(value)
    raise invalid("a list is missing")


def as_key(key: Any) -> Any:
    """Returns a key of a dictionary; keys that cannot be used or quoted as such, or only slowly, become unique."""
    if key is None or isinstance(key, OpaqueValue) or (isinstance(key, str) and is_name(key)):
        return key
    if isinstance(key, int) and abs(key) < _MAX_KEY:
        return key
    return OpaqueValue(type(key).__name__)


def as_storage_key(key: Any) -> str:
    """Returns the name of a storage."""
    if (isinstance(key, str) and is_name(key)) or (type(key) is int and 0 <= key < _MAX_KEY):
        return str(key)
    raise invalid("a storage has no name")


def _tensor(storage: Any, dtype: Any, offset: Any, size: Any, stride: Any, metadata: Any) -> Any:
    for value in (storage, dtype):
        if isinstance(value, OpaqueValue):
            return OpaqueValue(value.name)
    if not isinstance(storage, Storage) or dtype is None:
        raise invalid("a tensor has no storage of a known type")
    if isinstance(metadata, dict):
        for bit in ("conj", "neg"):  # values that are stored with another sign
            if metadata.get(bit):
                return OpaqueValue(f"torch.{bit}")
    if not all(isinstance(numbers, (tuple, list)) for numbers in (size, stride)):
        raise invalid("a tensor has no size or strides")
    return StoredTensor.make(storage, dtype, size[: MAX_AXES + 1], stride[: MAX_AXES + 1], offset)


def _rebuild_tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    grad: Any = None,
    hooks: Any = None,
    metadata: Any = None,
    *_: Any,
) -> Any:
    dtype = storage.dtype if isinstance(storage, Storage) else None
    return _tensor(storage, dtype, offset, size, stride, metadata)


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
    *_: Any,
) -> Any:
    return _tensor(storage, dtype.dtype if isinstance(dtype, Dtype) else dtype, offset, size, stride, metadata)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def rebuild_from_type(*_: Any) -> Any:
    """Stands for `_rebuild_from_type_v2`, which calls another function and which the machine itself follows."""
    raise invalid("a tensor is made by something that is not a function")


def _make_dict(*arguments: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    if arguments and isinstance(arguments[0], (list, tuple)):
        for pair in arguments[0]:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise invalid("a dictionary is made of something else than pairs")
            made[as_key(pair[0])] = pair[1]
    elif arguments and isinstance(arguments[0], dict):
        made.update(arguments[0])
    return made


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "collections.OrderedDict": _make_dict,
    "collections.defaultdict": lambda *_: {},
    "torch.Size": lambda sizes=(): as_tuple(sizes),
}
