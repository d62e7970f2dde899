"""What the shell offers when TAB is pressed. Everything here answers without importing an engine or reading images."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import typer

_CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
_MODEL_SUFFIXES = (".onnx", *_CHECKPOINT_SUFFIXES, ".yaml", ".yml")
_YAML_SUFFIXES = (".yaml", ".yml")
_COMMON_SPLITS = ("train", "val", "test")


def complete_model(incomplete: str) -> list[str]:
    """Returns names of built-in and published models, and model files."""
    from rapidseg.workflows.names import model_names

    return [*_matching(model_names(), incomplete), *_files(incomplete, _MODEL_SUFFIXES)]


def complete_checkpoint(incomplete: str) -> list[str]:
    """Returns names of published models, and checkpoint files."""
    from rapidseg.workflows.names import published_model_names

    return [*_matching(published_model_names(), incomplete), *_files(incomplete, _CHECKPOINT_SUFFIXES)]


def complete_document(incomplete: str) -> list[str]:
    """Returns JSON files."""
    return _files(incomplete, (".json",))


def complete_labels(incomplete: str) -> list[str]:
    """Returns names of label sets, and YAML files."""
    from rapidseg.workflows.names import label_set_names

    return [*_matching(label_set_names(), incomplete), *_files(incomplete, _YAML_SUFFIXES)]


def complete_override(incomplete: str) -> list[str]:
    """Returns keys of recipes with `=` behind them, such as `optimizer.lr=`."""
    from rapidseg.workflows.names import recipe_keys

    return _matching((f"{key}=" for key in recipe_keys()), incomplete)


def complete_pretraining_override(incomplete: str) -> list[str]:
    """Returns keys of pre-training recipes with `=` behind them, such as `method.m=`."""
    from rapidseg.workflows.names import recipe_keys

    return _matching((f"{key}=" for key in recipe_keys("pretrain")), incomplete)


def complete_any_name(incomplete: str) -> list[str]:
    """Returns names of architectures, models and recipes."""
    from rapidseg.workflows.names import architecture_names, model_names, recipe_names

    return _matching((*architecture_names(), *model_names(), *recipe_names()), incomplete)


def complete_recipe(incomplete: str) -> list[str]:
    """Returns names of recipes, and YAML files."""
    from rapidseg.workflows.names import recipe_names

    return [*_matching(recipe_names(), incomplete), *_files(incomplete, _YAML_SUFFIXES)]


def complete_pretraining_recipe(incomplete: str) -> list[str]:
    """Returns names of pre-training recipes, and YAML files."""
    from rapidseg.workflows.names import pretraining_recipe_names

    return [*_matching(pretraining_recipe_names(), incomplete), *_files(incomplete, _YAML_SUFFIXES)]


def complete_dataset(incomplete: str) -> list[str]:
    """Returns names of data sets, and YAML files."""
    from rapidseg.workflows.names import dataset_names

    return [*_matching(dataset_names(), incomplete), *_files(incomplete, _YAML_SUFFIXES)]


def complete_split(ctx: typer.Context, incomplete: str) -> list[str]:
    """Returns the splits of the data set that was named before, or the usual ones; also after a `+`."""
    from rapidseg.workflows.names import splits_of_dataset

    data = ctx.params.get("data") or ctx.params.get("dataset")
    splits = splits_of_dataset(data) if isinstance(data, str) else _COMMON_SPLITS
    before, plus, last = incomplete.rpartition("+")
    taken = before.split("+")
    return [f"{before}{plus}{name}" for name in _matching(splits, last) if name not in taken]


def complete_device(incomplete: str) -> list[str]:
    """Returns the devices that every engine understands."""
    return _matching(("auto", "cpu", "cuda"), incomplete)


def complete_engines(incomplete: str) -> list[str]:
    """Returns names of engines; also after a comma."""
    return _next_of_list(("openvino", "onnxruntime", "torch"), incomplete)


def complete_precisions(incomplete: str) -> list[str]:
    """Returns names of precisions; also after a comma."""
    return _next_of_list(("float32", "bf16", "fp16", "int8"), incomplete)


def _next_of_list(names: Iterable[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",")
    return [f"{before}{comma}{name}" for name in _matching(names, last) if name not in taken]


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Returns files with one of the suffixes, and folders, that begin with what was typed."""
    folder, _, beginning = incomplete.rpartition("/")
    start = f"{folder}/" if "/" in incomplete else ""
    try:
        entries = sorted(os.scandir(Path(start).expanduser() if start else "."), key=lambda entry: entry.name)
    except OSError:
        return []
    hidden = beginning.startswith(".")
    return [
        f"{start}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(beginning or "")
        and (hidden or not entry.name.startswith("."))
        and (entry.is_dir() or entry.name.endswith(suffixes))
    ]
