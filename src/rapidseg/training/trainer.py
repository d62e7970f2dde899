"""The trainer of Lightning, as every run here uses it."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from rapidseg.core.errors import TrainingError
from rapidseg.core.quiet import quiet_libraries
from rapidseg.training.json_lines import JsonLinesLogger
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.run_plan import RunPlan

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def make_trainer(
    plan: RunPlan,
    device: Literal["cpu", "cuda"],
    folder: RunFolder,
    state: Path | None,
    callbacks: Sequence[Callback | None],
) -> Trainer:
    """Returns the trainer of a run.

    Args:
        plan: of the run.
        device: to compute on.
        folder: of the run; gets the logs.
        state: the saved state from which the run resumes; None for a new run.
        callbacks: in their order; None is skipped.

    Raises:
        TrainingError: the state cannot be read.
    """
    done = _iterations_in(state)
    return Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision=_PRECISIONS[plan.precision],
        max_steps=plan.iterations,
        max_epochs=-1,
        accumulate_grad_batches=plan.accumulate,
        gradient_clip_val=plan.clip_gradient_norm,
        benchmark=True,
        callbacks=[callback for callback in callbacks if callback is not None],
        logger=[
            JsonLinesLogger(folder.log, keep_until=done),
            TensorBoardLogger(
                folder.path, name="", version=folder.tensorboard.name, default_hp_metric=False, purge_step=done + 1
            ),
        ],
        log_every_n_steps=1,  # MetricsCallback decides
        default_root_dir=folder.path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _iterations_in(state: Path | None) -> int:
    """Returns the iterations after which a state was saved; 0 without a state.

    Raises:
        TrainingError: the file cannot be read.
    """
    if state is None:
        return 0
    try:
        return int(torch.load(state, map_location="cpu", weights_only=True)["global_step"])
    except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, EOFError) as error:
        raise TrainingError(
            f"cannot read {state}, the saved state of the run ({error}); start a new run in another folder"
        ) from error


def quiet_lightning() -> contextlib.AbstractContextManager[None]:
    """Silences warnings of Lightning and PyTorch about choices that are intended."""
    return quiet_libraries(
        loggers=["lightning.pytorch"],
        ignored_warnings=(
            ".*does not have many workers.*",  # the recipe sets the number
            r".*`lr_scheduler\.step\(\)` before `optimizer\.step\(\)`.*",  # fp16 skips steps at first
            ".*multi-threaded, use of fork.*",  # workers use neither the threads of PyTorch nor those of TensorBoard
            ".*GPU available but not used.*",  # by --device cpu
            ".*LeafSpec.*",  # Lightning 2.6 with PyTorch 2.13
        ),
    )
