"""Process isolation: each workload runs in its own process, so that its peak memory and its threads are its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rapidseg.benchmarking.accuracy import BenchmarkScore, LabeledData
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.interleaving import Samples
from rapidseg.core import errors
from rapidseg.core.child_processes import python_command, safe_start
from rapidseg.core.errors import EngineError, RapidSegError
from rapidseg.core.progress import Progress
from rapidseg.core.sizes import SizeHW

_LAST_LINES = 3  # of what a process printed before it exited


class MeasuringProcess:
    """Starts `rapidseg.benchmarking.worker` and talks to it. As a context manager it ends the process on exit."""

    def __init__(self, kind: str, **arguments: Any) -> None:
        """Starts the process and loads its workload.

        Args:
            kind: `rapidseg`, `matmul` or `eager`.
            arguments: what that workload takes, in a form that JSON can carry.

        Raises:
            RapidSegError: the workload cannot be loaded.
            ModuleNotFoundError: the workload needs a package that is not installed.
        """
        self._messages = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115, see close
        with safe_start():
            self._process = subprocess.Popen(
                python_command("rapidseg.benchmarking.worker"),
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
        """Measures for about `seconds`; see the workload's `measure`."""
        samples: Samples = self._ask("measure", arguments={"seconds": seconds})
        return samples

    def memory(self) -> dict[str, int | None]:
        """Returns the process's `peak_bytes` so far and its `peak_gpu_bytes`; None where unknown."""
        memory: dict[str, int | None] = self._ask("memory", arguments={})
        return memory

    def score(self, data: LabeledData, progress: Callable[[int, int], None] | None = None) -> BenchmarkScore:
        """Scores the workload's model on labeled images; see `score_segmenter`."""
        score = self._ask("score", progress, arguments=asdict(data))
        return BenchmarkScore(**{**score, "warnings": tuple(score["warnings"])})

    def close(self) -> None:
        """Ends the process immediately."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a command that the process will never read
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
        with contextlib.suppress(OSError):  # the process has exited; below we say how
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
        output = f": {' | '.join(lines[-_LAST_LINES:])}" if lines else ""
        killed = " (killed: the machine may be out of memory)" if status == -9 else ""
        return (
            f"the measuring process exited with status {status}{killed}{output}; "
            "use a smaller size or batch, or fewer configurations"
        )


def start_processes(
    configurations: list[Configuration],
    images: Mapping[SizeHW, Path],
    stack: ExitStack,
    *,
    scratch: Path | None,
    progress: Progress,
) -> tuple[dict[Configuration, MeasuringProcess], list[tuple[Configuration, str]]]:
    """Starts a process for each configuration that this machine can run.

    Args:
        configurations: what to start.
        images: an image file of each size.
        stack: ends the processes.
        scratch: a folder to write to, so that reading, drawing and writing are measured as well; None skips these.
        progress: told before each start.

    Returns:
        The processes, and the configurations that are skipped, with the engine's reason.

    Raises:
        EngineError: no configuration can run.
    """
    processes: dict[Configuration, MeasuringProcess] = {}
    skipped: list[tuple[Configuration, str]] = []
    reasons: dict[tuple[str, str, str], str] = {}  # what an engine rejects at one size it rejects at any
    for index, configuration in enumerate(configurations):
        progress.update("starting", index, len(configurations))
        key = (configuration.model, configuration.engine, configuration.precision)
        if key not in reasons:
            image = images[configuration.image_size_hw]
            folder = None if scratch is None else str(scratch / str(index))
            try:
                process = MeasuringProcess(
                    "rapidseg", configuration=configuration.to_arguments(), image=str(image), scratch=folder
                )
            except EngineError as error:
                reasons[key] = str(error)
            else:
                processes[configuration] = stack.enter_context(process)
                continue
        skipped.append((configuration, reasons[key]))
    if not processes:
        raise EngineError(
            f"none of the requested configurations can run here: {'; '.join(dict.fromkeys(reasons.values()))}"
        )
    progress.update("starting", len(configurations), len(configurations))
    return processes, skipped
