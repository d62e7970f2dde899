"""`doctor`: check the installation, show which engine is used and why, run a self-test.

Nothing here imports an engine, Numba or OpenCV at module level, so a missing or broken package is reported like
everything else.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rapidseg import __version__
from rapidseg.core.errors import RapidSegError
from rapidseg.core.extras import missing_package
from rapidseg.diagnosis.engines import InstalledEngine, find_engines
from rapidseg.diagnosis.installation import Extra, find_extras, find_versions
from rapidseg.diagnosis.packages import Problem, check_metadata, check_packages, describe_error
from rapidseg.system.cache import CacheSummary, clear_compiled, summarize_cache
from rapidseg.system.gpu import Gpus, find_gpus
from rapidseg.system.machine import Machine, find_machine

if TYPE_CHECKING:
    from rapidseg.diagnosis.self_test import SelfTest


@dataclass(frozen=True)
class Selection:
    """What `rapidseg.load` uses for a model.

    Attributes:
        model: the model file.
        engine: the engine that runs it.
        precision: the precision that it runs in.
        device: the device that it runs on.
        choice: the same with the reasons, in one sentence.
    """

    model: str
    engine: str
    precision: str
    device: str
    choice: str


@dataclass(frozen=True)
class Diagnosis:
    """The state of this installation.

    Attributes:
        versions: of RapidSeg, Python and the packages that RapidSeg uses; None for packages that are not installed.
        machine: processor, memory and limits of a container.
        gpus: the GPUs.
        engines: the engines, with their devices.
        cache: what the cache folder holds.
        extras: the package's extras, and which of their packages are missing.
        problems: what does not work, and what to do about it.
        chosen: what `load` uses for the model, or why it fails.
        self_test: the result of the self-test, or why it fails.
        cleared_bytes: how much was deleted from the cache; None where it was not cleared.
    """

    versions: dict[str, str | None]
    machine: Machine
    gpus: Gpus
    engines: tuple[InstalledEngine, ...]
    cache: CacheSummary
    extras: tuple[Extra, ...]
    problems: tuple[Problem, ...]
    chosen: Selection | str
    self_test: SelfTest | str
    cleared_bytes: int | None = None

    @property
    def ok(self) -> bool:
        """Whether prediction works: the model loads, and the self-test passes."""
        return (
            not any(problem.required for problem in self.problems)
            and not isinstance(self.chosen, str)
            and not isinstance(self.self_test, str)
            and self.self_test.passed
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        folder = self.cache.folder
        return {
            "ok": self.ok,
            "problems": [asdict(problem) for problem in self.problems],
            "versions": self.versions,
            "machine": self.machine.to_dict(),
            "gpus": asdict(self.gpus),
            "engines": [asdict(engine) for engine in self.engines],
            "cache": {**asdict(self.cache), "folder": None if folder is None else str(folder)},
            "extras": [
                {"name": extra.name, "missing": list(extra.missing), "command": extra.command} for extra in self.extras
            ],
            "chosen": {"error": self.chosen} if isinstance(self.chosen, str) else asdict(self.chosen),
            "self_test": {"error": self.self_test} if isinstance(self.self_test, str) else asdict(self.self_test),
            "cleared_bytes": self.cleared_bytes,
        }


def doctor(model: str | os.PathLike[str] | None = None, *, clear_cache: bool = False) -> Diagnosis:
    """Checks the installation, finds out which engine is used and why, and runs a self-test.

    It does not raise where a package is missing or broken, or where the model does not load: the report says so.

    Args:
        model: a model as for `rapidseg.load`, to say what it runs with; None: the built-in model. The self-test always
            uses the built-in model.
        clear_cache: first delete compiled code and compiled models from the cache.
    """
    cleared_bytes = clear_compiled() if clear_cache else None
    return Diagnosis(
        versions={"rapidseg": __version__, "python": platform.python_version(), **find_versions()},
        problems=(*check_metadata(), *check_packages()),
        machine=find_machine(),
        gpus=find_gpus(),
        engines=find_engines(),
        extras=find_extras(),
        chosen=_select(model),
        self_test=_test(),
        cache=summarize_cache(),
        cleared_bytes=cleared_bytes,
    )


def _select(model: str | os.PathLike[str] | None) -> Selection | str:
    try:
        import rapidseg

        segmenter = rapidseg.load(model, download=False)
    except Exception as error:  # whatever a broken package raises, the other checks are still worth reading
        return _explain(error)
    engine = segmenter.engine
    return Selection(str(segmenter.path), engine.name, engine.precision, engine.device, engine.choice)


def _test() -> SelfTest | str:
    try:
        from rapidseg.diagnosis.self_test import run_self_test

        return run_self_test()
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> str:
    if isinstance(error, RapidSegError):
        return str(error)
    problem = missing_package(error) if isinstance(error, ImportError) else None
    return describe_error(error) if problem is None else str(problem)
