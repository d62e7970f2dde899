"""The folder of a run: its files, and whether it may be used."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import lightning
import torch

from rapidseg import __version__
from rapidseg.core.errors import ConfigError
from rapidseg.core.files import write_text
from rapidseg.recipes.loading import dump_recipe, flatten, load_recipe
from rapidseg.recipes.schema import Recipe

# What a run may change when it goes on: where things are and how much is told, not what is learned.
_CHANGEABLE = ("data.root", "data.workers", "data.cache", "save_every", "log_every")


class RunFolder:
    """Names the files of a run.

    Attributes:
        path: the folder.
        recipe: the recipe with every key, and in comments what it ran with.
        state: the whole state of training, from which it can go on.
        best, last: weights with their specification.
        log: figures, one JSON document a line.
        tensorboard: figures for TensorBoard.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.yaml"
        self.state = path / "last.ckpt"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.log = path / "log.jsonl"
        self.tensorboard = path / "tensorboard"

    def begin(self, recipe: Recipe, command: Sequence[str]) -> None:
        """Makes the folder and writes the recipe.

        Raises:
            ConfigError: it holds a run already, or is a file.
        """
        if self.path.is_file():
            raise ConfigError(f"{self.path} is a file; give a folder for the run")
        if self.recipe.exists() or self.state.exists():
            raise ConfigError(f"{self.path} already holds a run; go on with it with --resume, or choose another folder")
        write_text(self.recipe, _header(command) + dump_recipe(recipe))

    def resume(self, recipe: Recipe | None) -> Recipe:
        """Returns the recipe to go on with.

        Args:
            recipe: the recipe that the user gave, if any; it may differ from the folder's in where the data are and
                in what is told, not in what is learned.

        Raises:
            ConfigError: there is no run, or its recipe is another.
        """
        if not self.recipe.exists():
            raise ConfigError(f"{self.path} holds no run to go on with; leave --resume out to begin one")
        own = load_recipe(self.recipe)
        if recipe is None:
            return own
        before, now = flatten(own), flatten(recipe)
        differing = [
            f"{key} ({before.get(key)!r}, now {now.get(key)!r})"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key) and key not in _CHANGEABLE
        ]
        if differing:
            raise ConfigError(
                f"the run in {self.path} has another recipe; it differs in {', '.join(differing)}. Leave the recipe "
                "out to go on with the old one, or begin a new run in another folder"
            )
        return recipe


def _header(command: Sequence[str]) -> str:
    lines = [
        f"rapidseg {__version__}, torch {torch.__version__}, lightning {lightning.__version__}, "
        f"python {platform.python_version()}, {platform.platform()}",
        f"begun {datetime.now(timezone.utc).isoformat(timespec='seconds')}",
    ]
    if command:
        lines.insert(0, f"command: {shlex.join(command)}")
    return "".join(f"# {line}\n" for line in lines)
