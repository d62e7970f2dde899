"""One step of training, and the optimizer, for Lightning."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from rapidseg.core.errors import TrainingError
from rapidseg.losses import HeadLosses
from rapidseg.models import SegmentationModel
from rapidseg.recipes.schema import Recipe
from rapidseg.training.loader import Batch
from rapidseg.training.optimization import make_optimizer

_DIVERGED = 1e4  # far above any weight of a network that learns; comparing NaN with it is false as well


class TrainingModule(LightningModule):
    """A network with its losses and its optimizer.

    Args:
        recipe: of the run.
        model: the network, with initial weights.
        losses: minimized, summed over the heads.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe, model: SegmentationModel, losses: HeadLosses) -> None:
        super().__init__()
        self.recipe = recipe
        # Convolutions on CPUs and tensor cores are fastest in channels-last memory.
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.losses = losses
        for name, values in (("mean", model.spec.mean), ("std", model.spec.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self._random_state: dict[str, Any] | None = None

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Returns `loss`, a scalar, and `parts`, the weighted loss of each head.

        Raises:
            TrainingError: the loss is not finite; the message names the iteration and the images.
        """
        loss, parts = self.compute_loss(batch)
        if not torch.isfinite(loss):
            raise TrainingError(self._explain_divergence(loss, batch))
        return {"loss": loss, "parts": parts}

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch, a scalar, and the weighted loss of each head."""
        images = batch.images.permute(0, 3, 1, 2).float()  # a channels-last view
        outputs = self.model.forward_all((images - self.mean) / self.std)
        return self.losses(outputs, batch.labels, self.model.upsample)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return make_optimizer(self.recipe, self.model)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Keeps a state that was loaded but not applied yet: the run was stopped again before its first step.
        checkpoint["random_state"] = self._random_state or {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("random_state")
        cpu, cuda = (state.get("cpu"), state.get("cuda")) if isinstance(state, dict) else (None, None)
        own = torch.get_rng_state()
        is_ours = isinstance(cpu, Tensor) and cpu.shape == own.shape and cpu.dtype == own.dtype
        if not is_ours or not isinstance(cuda, list) or not all(isinstance(device, Tensor) for device in cuda):
            raise ValueError("it has no random_state of this version of PyTorch")
        self._random_state = state

    def on_train_start(self) -> None:
        # Not earlier: Lightning may draw random numbers before.
        if self._random_state is not None:
            torch.set_rng_state(self._random_state["cpu"].cpu())
            if len(self._random_state["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._random_state["cuda"]])
            self._random_state = None

    def _explain_divergence(self, loss: Tensor, batch: Batch) -> str:
        largest = max(parameter.detach().abs().max().item() for parameter in self.model.parameters())
        cause = (
            "the weights are in a normal range, so the cause is in these images or in the precision: check the images, "
            "or set precision=float32"
            if largest < _DIVERGED
            else f"the weights have grown to {largest:.2g}, so earlier steps were too large: lower optimizer.lr, "
            "raise schedule.warmup_iterations, or set clip_gradient_norm"
        )
        return (
            f"the loss is {loss.item()} at iteration {self.trainer.global_step + 1}, for the images "
            f"{', '.join(batch.names)}; {cause}. States saved before are kept; start a new run in another folder"
        )
