"""The moving average of the weights."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from rapidseg.models import SegmentationModel


class MovingAverage(WeightAveraging):
    """Averages weights and running statistics after every step of the optimizer.

    After step n the average moves by 1 - d towards the weights, where d is the smaller of `decay` and
    (1 + n) / (10 + n): at first it follows closely, so that it forgets the random initial weights. The rule is that of
    TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    """

    def __init__(self, decay: float) -> None:
        def average(averages: list[Tensor], values: list[Tensor], num_averaged: Tensor | int) -> None:
            if not averages[0].is_floating_point():  # counters of batches
                torch._foreach_copy_(averages, values)
                return
            steps = int(num_averaged)
            torch._foreach_lerp_(averages, values, 1 - min(decay, (1 + steps) / (10 + steps)))

        super().__init__(multi_avg_fn=torch.no_grad()(average))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            # Every step reads it, and would have to wait for a GPU.
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    @property
    def model(self) -> SegmentationModel:
        """The network with the averaged weights."""
        assert self._average_model is not None
        model = self._average_model.module.model
        assert isinstance(model, SegmentationModel)
        return model
