"""Names of models, recipes and data sets, from the names of their files: fast enough for completion in a shell.

No pydantic, NumPy or engine is imported. Tests compare each function with the subpackage that owns the files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_ADVICE = "docs/data.md lists the keys"
_LABEL_SETS = ("cityscapes", "camvid")
_BUILT_IN_DATASETS = {
    "camvid": ("train", "val", "test"),
    "cityscapes": ("train", "val", "test"),
    "cityscapes-coarse": ("train", "val", "train_extra"),
}


def model_names() -> tuple[str, ...]:
    """Returns the names of the built-in models, then those of the published ones."""
    return (*_stems("zoo/built_in"), *published_model_names())


def published_model_names() -> tuple[str, ...]:
    """Returns the names of the published models."""
    return _stems("zoo/published")


def label_set_names() -> tuple[str, ...]:
    """Returns the names that `--labels` takes."""
    return (*_LABEL_SETS, *_stems("data/layouts/descriptions"))


def recipe_keys(command: str = "train") -> tuple[str, ...]:
    """Returns the dotted keys that the recipes of a command state, sorted: what is usually overridden.

    Args:
        command: `train` or `pretrain`.
    """
    from rapidseg.core.strict_yaml import read_yaml

    folder = _PACKAGE / "recipes"
    names = recipe_names() if command == "train" else [f"pretraining/{name}" for name in pretraining_recipe_names()]
    keys: set[str] = set()
    for name in names:
        keys.update(_dotted_keys(read_yaml(folder / f"{name}.yaml", "a recipe", advice=_ADVICE)))
    return tuple(sorted(keys - {"extends"}))


def architecture_names() -> tuple[str, ...]:
    """Returns the names of the architectures."""
    text = (_PACKAGE / "zoo" / "architectures.yaml").read_text(encoding="utf-8")
    return tuple(re.findall(r"^- name: (\S+)$", text, re.MULTILINE))


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes of `rapidseg train` that come with the package."""
    folder = _PACKAGE / "recipes"
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    return tuple(sorted(name for name in names if not name.startswith("pretraining/")))


def pretraining_recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes of `rapidseg pretrain` that come with the package."""
    return _stems("recipes/pretraining")


def dataset_names() -> tuple[str, ...]:
    """Returns the names that `open_dataset` takes besides YAML files."""
    return (*_BUILT_IN_DATASETS, *_stems("data/layouts/descriptions"))


def splits_of_dataset(data: str) -> tuple[str, ...]:
    """Returns the splits of a data set, given by its name or YAML file; none where the file cannot be read."""
    if data in _BUILT_IN_DATASETS:
        return _BUILT_IN_DATASETS[data]
    from rapidseg.core.errors import ConfigError
    from rapidseg.core.strict_yaml import read_yaml

    file = _PACKAGE / "data" / "layouts" / "descriptions" / f"{data}.yaml"
    try:
        content = read_yaml(file if os.path.isfile(file) else data, "a data description", advice=_ADVICE)
        return tuple(map(str, content["splits"]))
    except (ConfigError, TypeError, KeyError):
        return ()


def _dotted_keys(content: object) -> Iterator[str]:
    """Yields the keys of mappings within mappings whose values are not mappings themselves."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, dict) and value:
            yield from (f"{key}.{inner}" for inner in _dotted_keys(value))
        else:
            yield str(key)


def _stems(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_PACKAGE / folder).glob("*.yaml")))
