"""The folder of a run: its files, and whether a run may use it."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Generic, TypeVar

import lightning
import torch

from rapidseg import __version__
from rapidseg.core.errors import ConfigError
from rapidseg.core.files import check_output_folder, write_text
from rapidseg.importing import WeightsUse
from rapidseg.recipes.recipe_file import dump_recipe, flatten, load_recipe, parse_recipe
from rapidseg.recipes.schema import Recipe, Section
from rapidseg.training.run_identity import RunIdentity
from rapidseg.training.saved_state import check_state_file

SectionT = TypeVar("SectionT", bound=Section)

# Keys that may change when a run is resumed: where the data are and how much is logged, not what is learned.
_CHANGEABLE = ("data.root", "data.workers", "data.cache", "save_every", "log_every")


class RunFolder(Generic[SectionT]):
    """Names the files of a run.

    Attributes:
        path: the folder.
        recipe: the recipe with every key; command, versions and platform in comments.
        initial_weights: which tensors the run started from, and which not; only of runs with initial weights.
        state: the whole state of training, from which it resumes.
        best, last: weights with their specification.
        log: metrics, one JSON document per line.
        tensorboard: metrics for TensorBoard.
        has_started: whether an iteration is done, or a state saved.

    Args:
        path: the folder.
        read_recipe: reads the recipe file of a run of this kind.
        changeable: keys of the recipe that may change when a run is resumed.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_recipe: Callable[[Path], SectionT] = load_recipe,  # type: ignore[assignment]
        changeable: Collection[str] = _CHANGEABLE,
    ) -> None:
        self.path = path
        self._read_recipe = read_recipe
        self._changeable = changeable
        self.recipe = path / "recipe.yaml"
        self.initial_weights = path / "initial_weights.json"
        self.state = path / "last.ckpt"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.log = path / "log.jsonl"
        self.tensorboard = path / "tensorboard"
        self.has_started = False
        self._created: list[Path] = []

    def begin(self, recipe: SectionT, command: Sequence[str]) -> None:
        """Creates the folder and writes the recipe.

        Raises:
            ConfigError: the folder already contains a run.
            InputError: it is a file.
        """
        self.check_unused()
        self._created = [folder for folder in (self.path, *self.path.parents) if not os.path.lexists(folder)]
        write_text(self.recipe, _header(command) + dump_recipe(recipe))

    def check_unused(self) -> None:
        """Checks that a new run may use the folder; creates nothing.

        Raises:
            ConfigError: the folder already contains a run.
            InputError: it is a file.
        """
        check_output_folder(self.path)
        if os.path.lexists(self.recipe) or os.path.lexists(self.state):
            raise ConfigError(
                f"{self.path} already contains a run; resume it with --resume (resume=True in Python) or choose "
                "another folder"
            )

    @contextlib.contextmanager
    def claimed(self, recipe: SectionT, command: Sequence[str], *, resumed: bool) -> Iterator[None]:
        """A context in which a run uses the folder.

        A new run that fails before `has_started` is set leaves the folder, and those above it, as they were.

        Args:
            recipe: of the run.
            command: words of the command line, written beside the recipe.
            resumed: whether the folder contains the run already; it is then kept whatever happens.

        Raises:
            ConfigError, InputError: as `begin` raises.
        """
        if resumed:
            yield
            return
        self.check_unused()  # a folder that is refused is not cleared
        try:
            self.begin(recipe, command)
            yield
        except BaseException:
            if not self.has_started:
                self._discard()
            raise

    def _discard(self) -> None:
        """Removes what `begin`, `write_initial_weights` and the loggers wrote."""
        for file in (self.recipe, self.initial_weights, self.log):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        shutil.rmtree(self.tensorboard, ignore_errors=True)
        for folder in self._created:  # the innermost first
            with contextlib.suppress(OSError):
                folder.rmdir()

    def write_initial_weights(self, use: WeightsUse) -> None:
        """Writes what the run started from."""
        write_text(self.initial_weights, use.model_dump_json(indent=2) + "\n")

    def read_initial_weights(self, recipe: Recipe) -> WeightsUse | None:
        """Returns what the run started from; None for random weights, and for runs of earlier versions.

        Raises:
            ConfigError: the file is missing or cannot be read.
        """
        try:
            if not self.initial_weights.exists() and recipe.model.weights is None:
                return None
            return WeightsUse.model_validate_json(self.initial_weights.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problem = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise ConfigError(
                f"{self.initial_weights}: {problem}, and the run cannot be resumed without it; restore it, or "
                "start a new run in another folder"
            ) from error

    def prepare(self, recipe: SectionT | None, *, resume: bool) -> tuple[SectionT, Path | None]:
        """Returns the recipe of a run, and the saved state from which it resumes; None starts it anew.

        Args:
            recipe: the user's; None with `resume` uses the recipe in the folder.
            resume: whether to resume the run in the folder.

        Raises:
            ConfigError: a new run has no recipe; or as `resume` raises.
            TrainingError: as `resume` raises.
        """
        if resume:
            return self.resume(recipe), self.state if os.path.lexists(self.state) else None
        if recipe is None:
            raise ConfigError(
                "a new run needs a recipe; to resume a run without one, pass --resume (resume=True in Python)"
            )
        return recipe, None

    def resume(self, recipe: SectionT | None) -> SectionT:
        """Returns the recipe to resume with.

        Args:
            recipe: the user's, or None. It may differ from the folder's in where the data are and in how much is
                logged, not in what is learned.

        Raises:
            ConfigError: the folder contains no run, or a run with another recipe; or its recipe was edited after its
                state was saved.
            TrainingError: the saved state cannot be read.
        """
        if not os.path.isfile(self.recipe):
            raise ConfigError(
                f"{self.path} contains no run to resume; start one without --resume (resume=True in Python)"
            )
        own = self._read_recipe(self.recipe)
        self._refuse_edits(own)
        if recipe is None:
            return own
        differing = self._differences(own, recipe)
        if differing:
            raise ConfigError(
                f"the run in {self.path} has another recipe; it differs in {differing}. To resume it "
                "with its own recipe, pass neither a recipe nor options that change it; or start a new run in another "
                "folder"
            )
        return recipe

    def _refuse_edits(self, own: SectionT) -> None:
        """Raises an error if the recipe in the folder is not the one that the saved state was made with."""
        if not os.path.lexists(self.state):
            return
        check_state_file(self.state)
        identity = RunIdentity.read_from(self.state)
        if identity is None:
            return
        differing = self._differences(parse_recipe(identity.recipe, type(own), str(self.state)), own)
        if differing:
            raise ConfigError(
                f"{self.recipe} was edited after the run had started; it differs in {differing} from the recipe of the "
                "saved state. Undo these edits to resume the run; or start a new run with this recipe in another folder"
            )

    def _differences(self, before: SectionT, now: SectionT) -> str:
        """Returns the keys with other values, except those that may change; '' if there are none."""
        earlier, later = flatten(before), flatten(now)
        return ", ".join(
            f"{key} ({earlier.get(key)!r}, now {later.get(key)!r})"
            for key in sorted({*earlier, *later})
            if earlier.get(key) != later.get(key) and key not in self._changeable
        )


def _header(command: Sequence[str]) -> str:
    lines = [
        f"rapidseg {__version__}, torch {torch.__version__}, lightning {lightning.__version__}, "
        f"python {platform.python_version()}, {platform.platform()}",
        f"started {datetime.now(timezone.utc).isoformat(timespec='seconds')}",
    ]
    if command:
        lines.insert(0, f"command: {shlex.join(command)}")
    return "".join(f"# {line}\n" for line in lines)
