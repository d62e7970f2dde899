"""The instructions of pickles, protocols 0 to 5, as far as files of weights have them.

Missing are those for objects outside of the file: persistent ids in text, extensions registered with `copyreg`, and
buffers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rapidseg.checkpoints.pickled_values import Function, OpaqueValue, invalid

if TYPE_CHECKING:
    from rapidseg.checkpoints.unpickler import Unpickler

Instruction = Callable[["Unpickler"], Any]

_MAX_DIGITS = 4000  # of a number in text, and bytes of one in binary: longer ones take quadratic time


# Numbers, texts and names.


def _decimal(machine: Unpickler) -> str:
    line = machine.line()
    if len(line) > _MAX_DIGITS:
        raise invalid("a number has too many digits")
    return line.decode("ascii", "replace")


def _integer(machine: Unpickler) -> int | bool:
    text = _decimal(machine)
    if text in ("00", "01"):
        return text == "01"
    try:
        return int(text.removesuffix("L"))
    except ValueError as error:
        raise invalid(f"{text!r:.40} is not an integer") from error


def _float(machine: Unpickler) -> float:
    text = _decimal(machine)
    try:
        return float(text)
    except ValueError as error:
        raise invalid(f"{text!r:.40} is not a number") from error


def _long(form: str) -> Instruction:
    def push(machine: Unpickler) -> None:
        size = machine.number(form)
        if size > _MAX_DIGITS:
            raise invalid(f"an integer has {size} bytes")
        machine.push(int.from_bytes(machine.take(size), "little", signed=True))

    return push


def _decoded(data: bytes, encoding: str = "utf-8") -> str:
    try:
        return data.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise invalid("a text is damaged") from error


def _text(form: str) -> Instruction:
    return lambda machine: machine.push(_decoded(bytes(machine.take(machine.number(form)))))


def _bytes(form: str) -> Instruction:
    return lambda machine: machine.push(bytes(machine.take(machine.number(form))))


def _python2_text(data: bytes) -> str:
    """Returns a text of Python 2, whose encoding the file does not tell."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _short_text(form: str) -> Instruction:
    return lambda machine: machine.push(_python2_text(bytes(machine.take(machine.number(form)))))


def _quoted_text(machine: Unpickler) -> None:
    """Pushes a text in quotes; escapes, which names of tensors lack, stay as they are."""
    line = machine.line()
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise invalid("a text has no quotes")
    machine.push(_python2_text(line[1:-1]))


def _global(machine: Unpickler) -> None:
    module = _decoded(machine.line())
    machine.push_global(module, _decoded(machine.line()))


def _stack_global(machine: Unpickler) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push_global(module, name)


# Containers.


def _constant(make: Callable[[], Any]) -> Instruction:
    return lambda machine: machine.push(make())


def _tuple(count: int) -> Instruction:
    return lambda machine: machine.push(tuple(machine.pop() for _ in range(count))[::-1])


def _dict(machine: Unpickler) -> None:
    items, made = machine.pop_mark(), dict[Any, Any]()
    machine.add_pairs(made, items)
    machine.push(made)


def _append(machine: Unpickler) -> None:
    item = machine.pop()
    machine.add_items(machine.top(), [item])


def _appends(machine: Unpickler) -> None:
    items = machine.pop_mark()
    machine.add_items(machine.top(), items)


def _set_item(machine: Unpickler) -> None:
    value, key = machine.pop(), machine.pop()
    machine.add_pairs(machine.top(), [key, value])


def _set_items(machine: Unpickler) -> None:
    items = machine.pop_mark()
    machine.add_pairs(machine.top(), items)


def _add_to_set(machine: Unpickler) -> None:
    machine.pop_mark()
    if not isinstance(machine.top(), OpaqueValue):
        raise invalid("items for something that is not a set")


def _frozen_set(machine: Unpickler) -> None:
    machine.pop_mark()
    machine.push(OpaqueValue("frozenset"))


# Objects.


def _new_object(machine: Unpickler) -> None:
    arguments, class_ = machine.pop(), machine.pop()
    machine.call(class_, arguments if isinstance(class_, Function) else ())


def _new_object_with_names(machine: Unpickler) -> None:
    machine.pop()
    _new_object(machine)


def _old_object(machine: Unpickler) -> None:
    items = machine.pop_mark()
    if not items:
        raise invalid("an object has no class")
    machine.call(items[0], tuple(items[1:]))


def _old_instance(machine: Unpickler) -> None:
    _global(machine)
    class_, arguments = machine.pop(), tuple(machine.pop_mark())
    machine.call(class_, arguments)


INSTRUCTIONS: dict[int, Instruction] = {
    ord(code): instruction
    for code, instruction in {
        "\x80": lambda m: m.take(1),  # PROTO
        "\x95": lambda m: m.take(8),  # FRAME
        "(": lambda m: m.mark(),
        "0": lambda m: m.pop_value_or_mark(),
        "1": lambda m: m.pop_mark(),
        "2": lambda m: m.push(m.top()),  # DUP
        "N": _constant(lambda: None),
        "\x88": _constant(lambda: True),
        "\x89": _constant(lambda: False),
        "I": lambda m: m.push(_integer(m)),
        "L": lambda m: m.push(_integer(m)),
        "J": lambda m: m.push(m.number("<i")),
        "K": lambda m: m.push(m.number("<B")),
        "M": lambda m: m.push(m.number("<H")),
        "\x8a": _long("<B"),
        "\x8b": _long("<i"),
        "F": lambda m: m.push(_float(m)),
        "G": lambda m: m.push(m.number(">d")),
        "S": _quoted_text,
        "T": _short_text("<i"),
        "U": _short_text("<B"),
        "V": lambda m: m.push(_decoded(m.line(), "raw-unicode-escape")),
        "X": _text("<I"),
        "\x8c": _text("<B"),
        "\x8d": _text("<Q"),
        "B": _bytes("<I"),
        "C": _bytes("<B"),
        "\x8e": _bytes("<Q"),
        "\x96": _bytes("<Q"),  # BYTEARRAY8
        ")": _constant(tuple),
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "t": lambda m: m.push(tuple(m.pop_mark())),
        "]": _constant(list),
        "l": lambda m: m.push(m.pop_mark()),
        "a": _append,
        "e": _appends,
        "}": _constant(dict),
        "d": _dict,
        "s": _set_item,
        "u": _set_items,
        "\x8f": _constant(lambda: OpaqueValue("set")),
        "\x90": _add_to_set,
        "\x91": _frozen_set,
        "p": lambda m: m.store(_integer(m)),
        "q": lambda m: m.store(m.number("<B")),
        "r": lambda m: m.store(m.number("<I")),
        "\x94": lambda m: m.store(),
        "g": lambda m: m.recall(_integer(m)),
        "h": lambda m: m.recall(m.number("<B")),
        "j": lambda m: m.recall(m.number("<I")),
        "c": _global,
        "\x93": _stack_global,
        "R": lambda m: m.reduce(),
        "\x81": _new_object,
        "\x92": _new_object_with_names,
        "b": lambda m: m.build(),
        "o": _old_object,
        "i": _old_instance,
        "Q": lambda m: m.persistent(),
    }.items()
}
