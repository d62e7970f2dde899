"""The measuring process, started by `MeasuringProcess`.

It reads commands as lines of JSON from standard input and answers each with a line on standard output, until its input
ends. Output of libraries goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rapidseg.core.errors import RapidSegError


def main() -> None:
    """Answers commands until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def reply(**content: Any) -> None:
        replies.write(json.dumps(content) + "\n")
        replies.flush()

    workload: Any = None
    for line in _lines_until_end(sys.stdin):
        command = json.loads(line)
        try:
            if command["do"] == "open":
                workload = _WORKLOADS[command["kind"]](command["arguments"])
                reply(done=workload.describe())
            elif command["do"] == "score":
                score = workload.score(**command["arguments"], progress=lambda *step: reply(progress=step))
                reply(done=asdict(score))
            else:
                reply(done=_ANSWERS[command["do"]](workload, **command["arguments"]))
        except RapidSegError as error:
            reply(error={"type": type(error).__name__, "message": str(error)})
        except ModuleNotFoundError as error:
            reply(missing=error.name)


def _lines_until_end(commands: Iterable[str]) -> Iterator[str]:
    """Yields commands; ends the process as soon as there will be no more, even in the middle of a measurement.

    The parent keeps standard input open for as long as it lives.
    """
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in commands:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, name="rapidseg-commands", daemon=True).start()
    while True:
        yield lines.get()


def _rapidseg(arguments: dict[str, Any]) -> Any:
    from rapidseg.benchmarking.configuration import Configuration
    from rapidseg.benchmarking.workload import RapidSegWorkload

    configuration = Configuration.from_arguments(arguments["configuration"])
    scratch = arguments["scratch"]
    return RapidSegWorkload(configuration, Path(arguments["image"]), None if scratch is None else Path(scratch))


def _matmul(arguments: dict[str, Any]) -> Any:
    from rapidseg.benchmarking.peak_matmul import MatrixProduct

    return MatrixProduct(arguments["precision"], arguments["device"])


def _eager(arguments: dict[str, Any]) -> Any:
    from rapidseg.benchmarking.eager import EagerWorkload

    return EagerWorkload(Path(arguments["checkpoint"]), Path(arguments["image"]), arguments["device"])


def _memory(workload: Any) -> dict[str, int | None]:
    from rapidseg.system.memory import peak_gpu_memory_bytes, peak_memory_bytes

    return {"peak_bytes": peak_memory_bytes(), "peak_gpu_bytes": peak_gpu_memory_bytes()}


_WORKLOADS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "rapidseg": _rapidseg,
    "matmul": _matmul,
    "eager": _eager,
}
_ANSWERS: dict[str, Callable[..., dict[str, Any]]] = {
    "measure": lambda workload, seconds: workload.measure(seconds),
    "memory": _memory,
}
