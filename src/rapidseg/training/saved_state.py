"""The saved state of a run: read without running code, and checked before anything of the run changes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.arguments import describe_value, is_integer
from rapidseg.core.errors import ModelFileError, TrainingError
from rapidseg.core.printable import one_line

_MAX_REASON = 300  # characters
_AVERAGED = ("current_model_state", "averaging_state")  # of a run with a moving average of the weights
_PROGRESS = ("fit_loop", "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total", "completed")


def unreadable_state(path: Path, reason: object) -> TrainingError:
    """Returns the error about a state that cannot be used; the reason is cut to one short line."""
    return TrainingError(
        f"cannot read {path}, the saved state of the run ({one_line(reason, _MAX_REASON)}); restore the file, or "
        "start a new run in another folder"
    )


def check_state_file(path: Path) -> None:
    """Checks that a file is a checkpoint of PyTorch without code, none of whose bytes changed.

    Raises:
        TrainingError: it is not.
    """
    try:
        checkpoint = read_checkpoint(path)
        if checkpoint.opaque:
            raise unreadable_state(path, f"it contains {checkpoint.opaque[0]}, which is code")
        if not isinstance(checkpoint.content, dict):
            raise unreadable_state(path, f"it contains {describe_value(checkpoint.content)}, not a dictionary")
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except ModelFileError as error:
        raise unreadable_state(path, str(error).replace(str(path), path.name)) from error
    except TrainingError:
        raise
    except Exception as error:  # of a file that is not a zip archive, or a damaged one
        raise unreadable_state(path, error) from error
    if damaged is not None:
        raise unreadable_state(path, f"its part {damaged} is damaged")


def read_state(path: Path, key: str) -> Any:
    """Returns one entry of a saved state without reading the tensors of others; None if there is no such entry.

    Raises:
        TrainingError: the file cannot be read.
    """
    return _load(path).get(key)


def iterations_in(state: Path | None) -> int:
    """Returns the iterations after which a state was saved; 0 without a state.

    Raises:
        TrainingError: the file cannot be read.
    """
    if state is None:
        return 0
    iterations = read_state(state, "global_step")
    if not is_integer(iterations) or iterations < 0:
        raise unreadable_state(state, "it has no number of iterations")
    return int(iterations)


def check_state(path: Path, trainer: Trainer, module: LightningModule) -> None:
    """Checks that a state has everything that a run restores from it, in the shapes of this run.

    Args:
        path: the file.
        trainer: of the run, with its callbacks.
        module: of the run.

    Raises:
        TrainingError: something is missing, or has another shape.
    """
    content = _load(path)

    def need(condition: bool, what: str) -> None:
        if not condition:
            raise unreadable_state(path, what)

    steps = iterations_in(path)
    need(steps <= trainer.max_steps, f"it was saved after {steps} iterations, and the run has {trainer.max_steps}")
    need(_entry(content["loops"], _PROGRESS) == steps if "loops" in content else False, "its counters disagree")
    averaged = any(isinstance(callback, WeightAveraging) for callback in _callbacks(trainer))
    _check_weights(content, module, need, averaged=averaged)
    _check_optimizer(content, module, need)
    _check_schedulers(content, need)
    _check_callbacks(content, trainer, need)


def _check_weights(
    content: Mapping[str, Any], module: LightningModule, need: Callable[[bool, str], None], *, averaged: bool
) -> None:
    expected = module.state_dict()
    names = ("state_dict", _AVERAGED[0]) if averaged else ("state_dict",)
    for name in (*names, *(_AVERAGED[1:] if averaged else ())):
        need(isinstance(content.get(name), dict), f"it has no {name}")
    for name in names:
        state = content[name]
        need(state.keys() == expected.keys(), f"{name} has other tensors than the network")
        for key, tensor in expected.items():
            need(_is_like(state[key], tensor), f"{name} has another shape or type for {key}")


def _check_optimizer(content: Mapping[str, Any], module: LightningModule, need: Callable[[bool, str], None]) -> None:
    states = content.get("optimizer_states")
    need(isinstance(states, list) and len(states) == 1 and isinstance(states[0], dict), "it has no optimizer_states")
    groups, by_index = states[0].get("param_groups"), states[0].get("state")  # type: ignore[index]
    is_complete = isinstance(groups, list) and isinstance(by_index, dict)
    need(is_complete and all(isinstance(group, dict) for group in groups), "its optimizer_states are incomplete")
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    needs_two = any(len(group.get("params", ())) != len(parameters) for group in groups)
    if needs_two:  # scales and offsets have a group of their own
        parameters = [*(p for p in parameters if p.ndim > 1), *(p for p in parameters if p.ndim <= 1)]
    indices = [index for group in groups for index in group.get("params", ())]
    need(indices == list(range(len(parameters))), "its optimizer_states are of other parameters")
    need(by_index.keys() <= set(indices), "its optimizer_states are of other parameters")
    for index, state in by_index.items():
        need(isinstance(state, dict), "its optimizer_states are incomplete")
        for value in state.values():
            fits = not isinstance(value, Tensor) or value.ndim == 0 or value.shape == parameters[index].shape
            need(fits, "its optimizer_states have other shapes than the network")


def _check_schedulers(content: Mapping[str, Any], need: Callable[[bool, str], None]) -> None:
    states = content.get("lr_schedulers")
    need(isinstance(states, list) and len(states) == 1 and isinstance(states[0], dict), "it has no lr_schedulers")
    state = states[0]  # type: ignore[index]
    for key in ("base_lrs", "_last_lr"):
        rates = state.get(key)
        need(isinstance(rates, list) and all(isinstance(rate, float) for rate in rates), f"lr_schedulers has no {key}")
    for key in ("last_epoch", "_step_count"):
        need(is_integer(state.get(key)), f"lr_schedulers has no {key}")


def _check_callbacks(content: Mapping[str, Any], trainer: Trainer, need: Callable[[bool, str], None]) -> None:
    states = content.get("callbacks")
    need(isinstance(states, dict), "it has no callbacks")
    for callback in _callbacks(trainer):
        expected = callback.state_dict()
        if not expected:
            continue
        state = states.get(callback.state_key)  # type: ignore[union-attr]
        need(isinstance(state, dict) and state.keys() >= expected.keys(), f"it has no state of {callback.state_key}")
        for key in ("last", "best"):
            need(_is_score(state.get(key)), f"{callback.state_key} has a wrong {key}")


def _callbacks(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]


def _is_score(value: Any) -> bool:
    if value is None:
        return True
    numbers = isinstance(value, dict) and all(isinstance(number, (int, float)) for number in value.values())
    return numbers and is_integer(value.get("iteration"))


def _is_like(value: Any, tensor: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == tensor.shape and value.dtype == tensor.dtype


def _entry(content: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _load(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # of hostile bytes, PyTorch raises anything
        raise unreadable_state(path, error) from error
    if not isinstance(content, dict):
        raise unreadable_state(path, f"it contains {describe_value(content)}, not a dictionary")
    return content
