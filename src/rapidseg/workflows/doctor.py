"""`doctor`: check the installation, show which engine is used and why, run a self-test.

No third-party package is imported at module level, so a missing or broken one is reported like everything else.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg import __version__
from rapidseg.core.errors import RapidSegError
from rapidseg.core.extras import install_command
from rapidseg.core.import_errors import SEE_DOCTOR, dependency_error, describe_error, explained_imports
from rapidseg.core.report import Report
from rapidseg.core.wording import count_of
from rapidseg.diagnosis.engines import InstalledEngine, find_engines
from rapidseg.diagnosis.installation import Extra, find_extras, find_missing, find_versions
from rapidseg.diagnosis.packages import Problem, check_metadata, check_packages
from rapidseg.workflows.arguments import FLAG, checked
from rapidseg.workflows.names import model_names

if TYPE_CHECKING:
    from rapidseg.diagnosis.self_test import SelfTest
    from rapidseg.system.cache import CacheSummary
    from rapidseg.system.gpu import Gpus
    from rapidseg.system.machine import Machine


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
class Diagnosis(Report):
    """The state of this installation.

    Attributes:
        versions: of RapidSeg, Python and the packages that RapidSeg uses; None for packages that are not installed.
        machine: processor, memory and limits of a container.
        gpus: the GPUs.
        engines: the engines, with their devices.
        cache: what the cache folder holds.
        extras: the package's extras, and which of their packages are missing.
        not_installed: the optional packages that are not installed, each once: below the smallest extra that installs
            it.
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
    not_installed: dict[str, tuple[str, ...]]
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
            and self.self_test_passed
        )

    @property
    def self_test_passed(self) -> bool:
        """Whether the self-test ran and passed."""
        return not isinstance(self.self_test, str) and self.self_test.passed

    def headline(self) -> str:
        chosen = self.chosen
        model = (
            f"cannot load the model: {chosen}"
            if isinstance(chosen, str)
            else f"{os.path.basename(chosen.model)} runs in {chosen.engine}, {chosen.precision}, {chosen.device}"
        )
        state = "ok" if self.ok else "prediction does not work"
        problems = f"; {count_of(self.problems, 'problem')}" if self.problems else ""
        return f"{state}: {model}{problems}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        folder = self.cache.folder
        return {
            "ok": self.ok,
            "problems": [problem.to_dict() for problem in self.problems],
            "versions": self.versions,
            "machine": self.machine.to_dict(),
            "gpus": asdict(self.gpus),
            "engines": [asdict(engine) for engine in self.engines],
            "cache": {**asdict(self.cache), "folder": None if folder is None else str(folder)},
            "extras": [
                {"name": extra.name, "missing": list(extra.missing), "command": extra.command} for extra in self.extras
            ],
            "not_installed": [
                {"packages": list(packages), "extra": extra, "command": install_command(extra)}
                for extra, packages in self.not_installed.items()
            ],
            "chosen": {"error": self.chosen} if isinstance(self.chosen, str) else asdict(self.chosen),
            "self_test": {"error": self.self_test} if isinstance(self.self_test, str) else asdict(self.self_test),
            "cleared_bytes": self.cleared_bytes,
        }


@checked("model", clear_cache=FLAG)
def doctor(model: str | os.PathLike[str] | None = None, *, clear_cache: bool = False) -> Diagnosis:
    """Checks the installation, finds out which engine is used and why, and runs a self-test.

    It does not raise where a package of an engine is missing or broken, or where the model does not load: the report
    says so.

    Args:
        model: a model as for `rapidseg.load`, to say what it runs with; None: the built-in model. The self-test always
            uses the built-in model.
        clear_cache: first delete compiled code and compiled models from the cache.

    Raises:
        ModelFileError: the model does not exist.
        DependencyError: a package that the report itself needs is missing or broken: pydantic or platformdirs.
    """
    if model is not None and _is_unknown(os.fspath(model)):
        import rapidseg

        rapidseg.load(model, download=False)  # raises what every command says about such a name
    with explained_imports():
        from rapidseg.system.cache import clear_compiled, summarize_cache
        from rapidseg.system.gpu import find_gpus
        from rapidseg.system.machine import find_machine

    problems = find_problems()  # first: packages that fail once may fail differently when they are imported again
    chosen = _select(model)
    cleared_bytes = clear_compiled() if clear_cache else None
    return Diagnosis(
        versions={"rapidseg": __version__, "python": platform.python_version(), **find_versions()},
        problems=problems,
        machine=find_machine(),
        gpus=find_gpus(),
        engines=find_engines(),
        extras=find_extras(),
        not_installed=find_missing(),
        chosen=chosen,
        self_test=_test(),
        cache=summarize_cache(),
        cleared_bytes=cleared_bytes,
    )


def find_problems() -> tuple[Problem, ...]:
    """Returns what is wrong with the installation; works whichever third-party package is missing or broken."""
    return (*check_metadata(), *check_packages())


def _select(model: str | os.PathLike[str] | None) -> Selection | str:
    try:
        import rapidseg

        segmenter = rapidseg.load(model, download=False)
    except Exception as error:  # whatever a broken package raises, the other checks are still worth reading
        return _explain(error)
    engine = segmenter.engine
    return Selection(str(segmenter.path), engine.name, engine.precision, engine.device, engine.choice)


def _is_unknown(model: str) -> bool:
    return not Path(model).exists() and model not in model_names() and "://" not in model


def _test() -> SelfTest | str:
    try:
        from rapidseg.diagnosis.self_test import run_self_test

        return run_self_test()
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> str:
    problem = error if isinstance(error, RapidSegError) else dependency_error(error)
    return describe_error(error) if problem is None else str(problem).replace(SEE_DOCTOR, "")
