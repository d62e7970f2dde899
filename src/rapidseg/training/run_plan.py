"""What the parts of a run need to know of its recipe."""

from __future__ import annotations

from typing import Literal, Protocol

from rapidseg.recipes.schema import AdamwOptimizer, CosineSchedule, PolySchedule, SgdOptimizer, StepSchedule


class RunPlan(Protocol):
    """Length, rhythm and optimizer of a run: a `Recipe`, or the plan of a pre-training run.

    Attributes:
        iterations: optimizer steps.
        batch_size: images per step.
        accumulate: micro-batches per step.
        precision: of activations.
        clip_gradient_norm: largest norm of the gradient; None does not clip.
        evaluate_every, save_every, log_every: iterations between evaluations, saved states and lines of the log.
    """

    @property
    def iterations(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def accumulate(self) -> int: ...
    @property
    def precision(self) -> Literal["float32", "bf16", "fp16"]: ...
    @property
    def clip_gradient_norm(self) -> float | None: ...
    @property
    def evaluate_every(self) -> int: ...
    @property
    def save_every(self) -> int: ...
    @property
    def log_every(self) -> int: ...
    @property
    def optimizer(self) -> SgdOptimizer | AdamwOptimizer: ...
    @property
    def schedule(self) -> PolySchedule | CosineSchedule | StepSchedule: ...
