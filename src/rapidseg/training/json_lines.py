"""A log with one JSON document per line."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from rapidseg.core.files import write_text


class JsonLinesLogger(Logger):
    """Appends `{"iteration": 20, "time": ..., "train/loss": ...}` for each set of metrics.

    Args:
        path: the file; created, or continued.
        keep_until: lines of later iterations are dropped: the run was killed after it saved its last state, and will
            write them again.
    """

    def __init__(self, path: Path, keep_until: int) -> None:
        super().__init__()
        self._path = path
        self._keep_until: int | None = keep_until

    @property
    def name(self) -> str:
        return "json_lines"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the recipe has its own file."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._keep_until is not None:  # not before: a state that cannot be restored changes nothing
            self._drop_later_lines(self._keep_until)
            self._keep_until = None
        record: dict[str, Any] = {"iteration": step, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        record.update({name: value if math.isfinite(value) else None for name, value in metrics.items()})
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _drop_later_lines(self, keep_until: int) -> None:
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            write_text(self._path, "".join(f"{line}\n" for line in lines if _iteration(line) <= keep_until))


def _iteration(line: str) -> float:
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):  # a line that the end of the process cut short
        return math.inf
