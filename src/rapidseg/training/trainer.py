"""The trainer of Lightning, as every run here uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from rapidseg.core.errors import RapidSegError, TrainingError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.quiet import quiet_libraries
from rapidseg.training.json_lines import JsonLinesLogger
from rapidseg.training.loader import BatchLoader
from rapidseg.training.rehearsal import StepPass
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.run_plan import RunPlan
from rapidseg.training.saved_state import check_state, iterations_in, unreadable_state
from rapidseg.training.stopping import StopRequested, StopSignals, TrainingStopped
from rapidseg.training.worker_processes import lost_worker

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
    done = iterations_in(state)
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


def complete_run(
    trainer: Trainer,
    module: LightningModule,
    loader: BatchLoader[Any],
    *,
    state: Path | None,
    folder: RunFolder[Any],
    signals: StopSignals,
    command: str,
    step: StepPass,
) -> None:
    """Trains to the end, and closes the loader.

    Args:
        trainer: of the run.
        module: to train.
        loader: the batches of the whole run.
        state: the saved state from which the run resumes; None starts it anew.
        folder: of the run; is told whether the run has started.
        signals: that stop the run.
        command: of the command line, for the advice how to resume: `train` or `pretrain`.
        step: what is computed at once, for advice.

    Raises:
        TrainingStopped: a signal stopped the run, after its state was saved.
        TrainingError: memory ran out.
        Exception: whatever the training raises.
    """
    logs = set(folder.tensorboard.glob("*"))
    try:
        if state is not None:
            check_state(state, trainer, module)
        trainer.fit(module, loader, ckpt_path=None if state is None else str(state))
    except StopRequested:
        assert signals.received is not None
        folder.has_started = True
        raise TrainingStopped(trainer.global_step, signals.received, folder.path, command=command) from None
    except BaseException as error:
        folder.has_started = trainer.global_step > 0
        if is_out_of_memory(error):
            device = "cuda" if trainer.strategy.root_device.type == "cuda" else "cpu"
            raise TrainingError(
                f"memory ran out after iteration {trainer.global_step}: {step.no_memory(device)}. States saved before "
                "are kept; start a new run in another folder"
            ) from error
        if (explained := lost_worker(error)) is not None:
            raise explained from error
        if state is not None and isinstance(error, Exception) and trainer.global_step in (0, iterations_in(state)):
            # Nothing was done since the state was restored, if it was.
            for log in set(folder.tensorboard.glob("*")) - logs:
                log.unlink(missing_ok=True)
            if not isinstance(error, RapidSegError):
                raise unreadable_state(state, error) from error
        raise
    finally:
        loader.close()


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
