"""`diagnose`: everything that `rapidseg doctor` tells."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from typing import Any

from rapidseg import __version__
from rapidseg.core.errors import RapidSegError
from rapidseg.diagnosis.engines import FoundEngine, find_engines
from rapidseg.diagnosis.installation import Extra, find_extras, find_versions
from rapidseg.diagnosis.self_test import SelfTest, run_self_test
from rapidseg.runtime import load
from rapidseg.system.caches import Caches, find_caches
from rapidseg.system.gpus import find_gpus
from rapidseg.system.machine import Machine, find_machine


@dataclass(frozen=True)
class Chosen:
    """What `rapidseg.load` takes for a model.

    Attributes:
        model: the file.
        engine, precision, device: what was taken.
        choice: what was taken and why, in one sentence.
    """

    model: str
    engine: str
    precision: str
    device: str
    choice: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        versions: of RapidSeg, Python and the packages that it needs or can use.
        machine, gpus, engines, caches, extras: what is there.
        chosen: what `load` takes, or why it takes nothing.
        self_test: what the built-in model gave, or why it gave nothing.
    """

    versions: dict[str, str | None]
    machine: Machine
    gpus: dict[str, Any]
    engines: tuple[FoundEngine, ...]
    caches: Caches
    extras: tuple[Extra, ...]
    chosen: Chosen | str
    self_test: SelfTest | str

    @property
    def ok(self) -> bool:
        """Whether prediction works: the model loads, and the self test passes."""
        return isinstance(self.chosen, Chosen) and isinstance(self.self_test, SelfTest) and self.self_test.passed

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "ok": self.ok,
            "versions": self.versions,
            "machine": self.machine.to_dict(),
            "gpus": self.gpus,
            "engines": [asdict(engine) for engine in self.engines],
            "caches": {
                **asdict(self.caches),
                "folder": None if self.caches.folder is None else str(self.caches.folder),
            },
            "extras": [
                {"name": extra.name, "missing": list(extra.missing), "command": extra.command} for extra in self.extras
            ],
            "chosen": asdict(self.chosen) if isinstance(self.chosen, Chosen) else {"error": self.chosen},
            "self_test": asdict(self.self_test) if isinstance(self.self_test, SelfTest) else {"error": self.self_test},
        }


def diagnose(model: str | os.PathLike[str] | None = None) -> Diagnosis:
    """Looks at everything and tries the built-in model.

    Args:
        model: what `rapidseg.load` takes; None: the built-in model.
    """
    versions = {"rapidseg": __version__, "python": platform.python_version(), **find_versions()}
    return Diagnosis(
        versions=versions,
        machine=find_machine(),
        gpus=find_gpus(),
        engines=find_engines(),
        caches=find_caches(),
        extras=find_extras(),
        chosen=_choose(model),
        self_test=_test(),
    )


def _choose(model: str | os.PathLike[str] | None) -> Chosen | str:
    try:
        segmenter = load(model)
    except RapidSegError as error:
        return str(error)
    engine = segmenter.engine
    return Chosen(str(segmenter.path), engine.name, engine.precision, engine.device, engine.choice)


def _test() -> SelfTest | str:
    try:
        return run_self_test()
    except RapidSegError as error:
        return str(error)
