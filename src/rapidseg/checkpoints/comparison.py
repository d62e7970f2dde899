"""Compares the tensors of a file with those that a network expects, and with their checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from rapidseg.checkpoints.stored_tensor import COUNTER, RUNNING_MEAN, StoredTensor

_MAX_LISTED = 12  # tensors that a message names, per kind of problem


class Described(Protocol):
    """A tensor of PyTorch or of a file."""

    @property
    def shape(self) -> Any:
        """The sizes of its axes."""

    @property
    def dtype(self) -> Any:
        """PyTorch's type or its name, such as `torch.float32` or `float32`."""


def list_misfits(expected: Mapping[str, Described], state: Mapping[str, Described]) -> str:
    """Returns how a state differs from the tensors that a network expects; an empty text if it fits.

    Up to 12 tensors are named per problem: missing, unexpected, of another shape, of another kind of dtype. The counter
    of a batch norm is not named beside its running mean.
    """
    common = [(name, state[name], tensor) for name, tensor in expected.items() if name in state]
    problems = {
        "missing": _without_counters([name for name in expected if name not in state]),
        "unexpected": _without_counters([name for name in state if name not in expected]),
        "misshapen": [
            f"{name} {tuple(given.shape)} instead of {tuple(tensor.shape)}"
            for name, given, tensor in common
            if tuple(given.shape) != tuple(tensor.shape)
        ],
        "of another type": [  # half precision is fine; integers of quantization and complex numbers are not
            f"{name} {_type(given)} instead of {_type(tensor)}"
            for name, given, tensor in common
            if _kind(given) != _kind(tensor)
        ],
    }
    lines = []
    for kind, names in problems.items():
        if names:
            more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
            lines.append(f"{len(names)} {kind}: {', '.join(names[:_MAX_LISTED])}{more}")
    return "; ".join(lines)


def checksum(state: Mapping[str, StoredTensor]) -> str:
    """Returns the SHA-256 over names, types, shapes and values of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        digest.update(json.dumps([name, f"torch.{tensor.dtype}", list(tensor.shape)]).encode())
        digest.update(np.ascontiguousarray(tensor.raw()).tobytes())
    return digest.hexdigest()


def _without_counters(names: list[str]) -> list[str]:
    listed = set(names)
    return [
        name for name in names if not (name.endswith(COUNTER) and name.removesuffix(COUNTER) + RUNNING_MEAN in listed)
    ]


def _type(tensor: Described) -> str:
    return f"torch.{str(tensor.dtype).removeprefix('torch.')}"


def _kind(tensor: Described) -> str:
    name = _type(tensor).removeprefix("torch.")
    return (
        "floating" if name.startswith(("float", "bfloat")) else "complex" if name.startswith("complex") else "integer"
    )
