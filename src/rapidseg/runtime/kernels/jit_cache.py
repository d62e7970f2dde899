"""Numba's machine code in our own cache.

Numba's cache is a pickle that it loads from any folder it is told to use, so whoever can write there runs code, and a
file that was cut off ends every later start. Here the same content is an entry of `rapidseg.system.compiled_cache`.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from rapidseg.system.compiled_cache import entry_name, load_entry, store_entry


class JitCache(NullCache):
    """The cache of one function, in the form that Numba's dispatchers use."""

    def __init__(self, function: Callable[..., None], folder: Path) -> None:
        """Takes the function, of a module of this package, and the folder of `cache_folder`."""
        self._function = function
        self._folder = folder
        self._source = hashlib.sha256(inspect.getsource(sys.modules[function.__module__]).encode()).hexdigest()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Returns the compiled function for a signature, or None."""
        target_context.refresh()
        name = self._name(sig, target_context.codegen())
        rebuild: Any = CompileResult._rebuild
        return load_entry(self._folder, name, lambda content: rebuild(target_context, *pickle.loads(content)))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Stores the compiled function for a signature."""
        to_bytes: Callable[[Any], bytes] = dumps  # Numba's own pickler
        store_entry(self._folder, self._name(sig, data.codegen), to_bytes(data._reduce()))

    def _name(self, signature: Any, codegen: Any) -> str:
        """Returns the name of an entry: it depends on the source, the versions and the processor."""
        function = self._function
        return entry_name(
            *(function.__module__, function.__qualname__, self._source, str(signature)),
            *(numba.__version__, llvmlite.__version__, sys.version, codegen.magic_tuple()),
        )
