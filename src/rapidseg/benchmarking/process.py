"""A process of its own for each thing that is measured, so that its memory is its own and nothing lingers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from rapidseg.benchmarking.interleaving import Samples
from rapidseg.core import errors
from rapidseg.core.errors import RapidSegError

_LAST_LINES = 3  # of what a process wrote before it died


class MeasuringProcess:
    """Starts `rapidseg.benchmarking.worker` and talks to it. Use it in a `with` block: its end ends the process."""

    def __init__(self, kind: str, **arguments: Any) -> None:
        """Starts the process and opens what it is to measure.

        Args:
            kind: `segmenting`, `matrix_product` or `eager`.
            arguments: what that takes, as JSON can carry it.

        Raises:
            RapidSegError: it cannot be opened.
            ModuleNotFoundError: it needs a package that is not installed.
        """
        self._messages = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115, see close
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rapidseg.benchmarking.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            encoding="utf-8",
        )
        try:
            self.description: dict[str, Any] = self._ask("open", kind=kind, arguments=arguments)
        except BaseException:
            self.close()
            raise

    def measure(self, seconds: float) -> Samples:
        """Has its turn: measures for about so long."""
        samples: Samples = self._ask("measure", arguments={"seconds": seconds})
        return samples

    def memory(self) -> dict[str, int | None]:
        """Returns `peak_bytes` of the process so far, and `peak_gpu_bytes`; None where unknown."""
        memory: dict[str, int | None] = self._ask("memory", arguments={})
        return memory

    def evaluate(self, *, progress: Callable[[int, int], None] | None = None, **arguments: Any) -> dict[str, Any]:
        """Scores what is measured; see `RapidSegWorkload.evaluate`."""
        return self._ask("evaluate", progress, arguments=arguments)

    def close(self) -> None:
        """Ends the process, at once."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a command that no one reads any more
                    pipe.close()
        self._process.wait()
        self._messages.close()

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, do: str, progress: Callable[[int, int], None] | None = None, **content: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(OSError):  # it is dead; what follows says how it died
            stdin.write(json.dumps({"do": do, **content}) + "\n")
            stdin.flush()
        while line := stdout.readline():
            reply = json.loads(line)
            if "done" in reply:
                answer: dict[str, Any] = reply["done"]
                return answer
            if "missing" in reply:
                raise ModuleNotFoundError(f"No module named {reply['missing']!r}", name=reply["missing"])
            if "error" in reply:
                raise getattr(errors, reply["error"]["type"])(reply["error"]["message"])
            if progress is not None:
                progress(*reply["progress"])
        raise RapidSegError(self._describe_exit())

    def _describe_exit(self) -> str:
        status = self._process.wait()
        self._messages.seek(0)
        lines = [line.strip() for line in self._messages if line.strip()]
        said = f": {' | '.join(lines[-_LAST_LINES:])}" if lines else ""
        killed = " (killed: the machine may have run out of memory)" if status == -9 else ""
        return (
            f"the process that measures ended with status {status}{killed}{said}; "
            "take a smaller size or batch, or fewer configurations"
        )
