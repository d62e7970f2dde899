"""The length and rhythm of a pre-training run, in iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rapidseg.recipes.pretraining_schema import PretrainingRecipe
from rapidseg.recipes.schema import AdamwOptimizer, CosineSchedule, PolySchedule, SgdOptimizer, StepSchedule


@dataclass(frozen=True)
class PretrainingPlan:
    """What `rapidseg.training` needs to know of a run (`RunPlan`), from a recipe that counts in epochs.

    Attributes:
        num_images: to learn from.
        per_epoch: iterations of an epoch.
        epochs: of the run.
    """

    num_images: int
    per_epoch: int
    epochs: int
    evaluate_epochs: int
    batch_size: int
    precision: Literal["float32", "bf16", "fp16"]
    save_every: int
    log_every: int
    optimizer: SgdOptimizer | AdamwOptimizer
    schedule: PolySchedule | CosineSchedule | StepSchedule
    accumulate: int = 1
    clip_gradient_norm: float | None = None

    @classmethod
    def from_recipe(cls, recipe: PretrainingRecipe, num_images: int, per_epoch: int) -> PretrainingPlan:
        schedule = recipe.schedule
        if isinstance(schedule, StepSchedule):  # the rate changes between epochs
            epochs = [int(share * recipe.epochs + 1e-6) for share in schedule.milestones]
            shares = tuple(epoch / recipe.epochs for epoch in epochs if epoch > 0)
            schedule = schedule.model_copy(update={"milestones": shares})
        return cls(
            num_images=num_images,
            per_epoch=per_epoch,
            epochs=recipe.epochs,
            evaluate_epochs=recipe.evaluation.every,
            batch_size=recipe.batch_size,
            precision=recipe.precision,
            save_every=recipe.save_every,
            log_every=recipe.log_every,
            optimizer=recipe.optimizer,
            schedule=schedule,
        )

    @property
    def iterations(self) -> int:
        return self.epochs * self.per_epoch

    @property
    def evaluate_every(self) -> int:
        return self.evaluate_epochs * self.per_epoch
