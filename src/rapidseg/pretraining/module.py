"""One step of pre-training, for Lightning."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from rapidseg.core.errors import TrainingError
from rapidseg.pretraining.batches import Indices, ViewMaker
from rapidseg.pretraining.methods import Method, PretrainingBatch
from rapidseg.pretraining.plan import PretrainingPlan
from rapidseg.training.optimization import make_optimizer


class PretrainingModule(LightningModule):
    """A method with its optimizer.

    Args:
        plan: of the run.
        method: with initial weights.
        make_views: makes the views of a batch.
    """

    def __init__(self, plan: PretrainingPlan, method: Method, make_views: ViewMaker) -> None:
        super().__init__()
        self.plan = plan
        # Convolutions on CPUs and tensor cores are fastest in channels-last memory.
        self.method = method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._make_views = make_views
        self._batch: PretrainingBatch | None = None

    def training_step(self, batch: Indices, batch_idx: int) -> dict[str, Any]:
        """Returns `loss`, a scalar, and `parts`, which is empty.

        Raises:
            TrainingError: the loss is not finite.
        """
        loss = self.compute_loss(batch)
        # A GPU is asked only now and then: the processor has to wait for the answer.
        if (self.device.type == "cpu" or batch.step % self.plan.log_every == 0) and not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at iteration {batch.step + 1}; lower optimizer.lr, or set "
                "precision=float32. States saved before are kept; start a new run in another folder"
            )
        return {"loss": loss, "parts": {}}

    def compute_loss(self, batch: Indices) -> Tensor:
        """Makes the views of a batch and returns the loss, a scalar."""
        self._batch = self._make_views(batch, self.device)
        return self.method.loss(self._batch)

    def forget_batch(self) -> None:
        """Drops the batch of a loss that no step of the optimizer follows."""
        self._batch = None

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        # Not in `on_train_batch_end`, which comes after the callbacks that save the state.
        super().optimizer_step(*args, **kwargs)
        assert self._batch is not None
        self.method.after_step(self._batch, self.trainer.global_step / self.plan.iterations)
        self._batch = None

    def transfer_batch_to_device(self, batch: Indices, device: torch.device, dataloader_idx: int) -> Indices:
        return batch  # ViewMaker copies what is needed

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return make_optimizer(self.plan, self.method)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["num_images"] = self.plan.num_images

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint.get("num_images") != self.plan.num_images:
            raise TrainingError(
                f"the run was started with {checkpoint.get('num_images')} images, and now there are "
                f"{self.plan.num_images}; resume it with the same images, or start a new run in another folder"
            )
