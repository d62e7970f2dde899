"""`Recipe`: everything that a training run depends on, typed and validated."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from rapidseg.core.input_paths import AbsolutePath, absolute_path
from rapidseg.data.augmentation import Augmentation

Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
# Bounds lie far beyond what trains anything, and well within what every library computes with.
Rate = Annotated[float, Field(gt=0, le=1e30)]  # what is too high ends in a message about the loss
Factor = Annotated[float, Field(ge=0, le=1e6)]  # of a loss: sums of many in float32 stay finite
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=100_000)]
Repeats = Annotated[int, Field(ge=1, le=1000)]  # each is a list of all images
Workers = Annotated[int, Field(ge=0, le=256)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]  # as PyTorch takes it
ShortSide = Annotated[int, Field(ge=32, le=8192)]


class Section(BaseModel):
    """A part of a recipe: immutable, and unknown keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_finite(options: dict[str, Any]) -> dict[str, Any]:
    """Raises `ValueError` for NaN and infinity, which the type of the values does not exclude."""
    waiting = list(options.items())
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} should be a finite number, not {value}")
        if isinstance(value, Mapping | list | tuple):
            waiting += [(key, item) for item in (value.values() if isinstance(value, Mapping) else value)]
    return options


NetworkOptions = Annotated[dict[str, Any], AfterValidator(_check_finite)]
"""Options of a network, which checks them when it is created."""


class _Source(Section):
    """A data set.

    Attributes:
        name: `camvid`, `cityscapes`, `cityscapes-coarse`, `synth-as-camvid`, or the path of a YAML file that describes
            the data set.
        root: its folder; null where a YAML file states it.
    """

    name: str
    root: AbsolutePath | None

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_given(cls, name: Any) -> Any:
        if name is None:
            raise ValueError(
                "name a data set: camvid, cityscapes, or a YAML file that describes your own (docs/data.md)"
            )
        return name

    @field_validator("name")
    @classmethod
    def _file_is_absolute(cls, name: str) -> str:
        return str(absolute_path(name)) if name.endswith((".yaml", ".yml")) else name


class ExtraDataset(_Source):
    """A further data set to learn from, with the same classes.

    Attributes:
        split: the split to learn from.
        repeat: how many times each of its images is repeated per epoch.
    """

    split: str
    repeat: Repeats = 1


class DataSection(_Source):
    """The data to learn from and to score.

    Attributes:
        train: the split to learn from; `+` joins splits, as in `train+val`.
        repeat: how many times each of its images is repeated per epoch, to balance it against `extra_datasets`.
        val: the split that is scored, which chooses the best weights; null trains without validation.
        extra_datasets: further data sets to learn from.
        augmentation: how images are changed before the network sees them.
        workers: processes that read and augment images; 0 does both in the training process.
        cache: keep decoded images in memory, in each of these processes.
    """

    train: str
    repeat: Repeats = 1
    val: str | None
    extra_datasets: tuple[ExtraDataset, ...] = ()
    augmentation: Augmentation
    workers: Workers
    cache: bool = False


class ModelSection(Section):
    """The network.

    Attributes:
        name: its architecture.
        variant: a named combination of options; null takes the architecture's first.
        options: options that differ from the variant's.
        weights: initial weights of the whole network: file, URL or name of a checkpoint or of an encoder; null starts
            from random weights. Tensors that do not fit start from random weights too. Resuming does not read it again.
        backbone_weights: file or URL of ImageNet weights or of an encoder from which the backbone starts; null starts
            from random weights. Resuming a run does not read it again.
        bn_momentum: weight of a new batch in the running statistics of batch normalization; null keeps PyTorch's 0.1.
        input_short_side: pixels of the shorter image side in validation and, by default, in prediction; null keeps
            images at their own size. Written to the model's specification.
    """

    name: str
    variant: str | None = None
    options: NetworkOptions = {}
    weights: str | None = None
    backbone_weights: str | None = None
    bn_momentum: Annotated[float, Field(gt=0, le=1)] | None = None
    input_short_side: ShortSide | None = None

    @field_validator("backbone_weights")
    @classmethod
    def _file_is_absolute(cls, weights: str | None) -> str | None:
        return weights if weights is None or "://" in weights else str(absolute_path(weights))

    @field_validator("weights")
    @classmethod
    def _file_or_name(cls, weights: str | None) -> str | None:
        if weights is None or "://" in weights or (re.fullmatch(r"[\w-]+", weights) and not os.path.exists(weights)):
            return weights
        return str(absolute_path(weights))

    @model_validator(mode="after")
    def _one_start(self) -> ModelSection:
        if self.weights is not None and self.backbone_weights is not None:
            raise ValueError("set weights (of the whole network) or backbone_weights, not both; set the other to null")
        return self


class _Optimizer(Section):
    """Options of every optimizer.

    Attributes:
        lr: base learning rate, for the whole `batch_size`.
        weight_decay: strength of weight decay.
        decay_norm_and_bias: whether weight decay also applies to biases and to the parameters of normalization.
    """

    lr: Rate
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    decay_norm_and_bias: bool = True


class SgdOptimizer(_Optimizer):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    momentum: Share = 0.9
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> SgdOptimizer:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class AdamwOptimizer(_Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101)."""

    kind: Literal["adamw"]
    betas: tuple[Beta, Beta] = (0.9, 0.999)


class _Schedule(Section):
    """Options of every learning rate schedule; `rapidseg.training.schedule` has the formulas.

    Attributes:
        eta_min: learning rate of the last iteration.
        warmup_iterations: iterations of the linear warm-up to the base rate.
        warmup_start: factor of the base rate in the first iteration of the warm-up.
    """

    eta_min: Annotated[float, Field(ge=0, le=1e30)]
    warmup_iterations: int = Field(default=0, ge=0, le=1_000_000_000)
    warmup_start: Annotated[float, Field(gt=0, le=1)] = 0.001


class PolySchedule(_Schedule):
    """Polynomial decay: the remaining share of the iterations, to a power."""

    kind: Literal["poly"]
    power: Annotated[float, Field(gt=0, le=100)]


class CosineSchedule(_Schedule):
    """Cosine decay."""

    kind: Literal["cosine"]


class StepSchedule(_Schedule):
    """The rate is multiplied by `gamma` at each milestone.

    Attributes:
        milestones: rising shares of the run, such as 0.6 and 0.8; in pre-training, whole epochs, rounded down.
        gamma: the factor.
    """

    kind: Literal["step"]
    milestones: tuple[float, ...] = Field(min_length=1, max_length=1000)
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    eta_min: Annotated[float, Field(ge=0, le=1e30)] = 0.0

    @field_validator("milestones")
    @classmethod
    def _are_rising_shares(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in zip((0.0, *milestones), (*milestones, 1.0), strict=True)):
            raise ValueError(
                f"these should be rising shares of the run between 0 and 1, such as [0.6, 0.8], not {list(milestones)}"
            )
        return milestones


class OhemSection(Section):
    """Online hard example mining; `rapidseg.losses.Ohem` explains the keys. Set `min_kept` or `kept_share`."""

    threshold: Share | None = None
    min_kept: Count | None = None
    kept_share: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _either_number(self) -> OhemSection:
        if (self.min_kept is None) == (self.kept_share is None):
            raise ValueError("set either min_kept (pixels per image) or kept_share (share of the labeled pixels)")
        return self


class LossSection(Section):
    """The loss; `rapidseg.losses.PixelLoss` explains the keys.

    Attributes:
        head_weights: factor of each output of the network.
        class_weights: one factor per class, in the order of the classes; or `balanced`, from the pixel counts of the
            training split.
    """

    kind: Literal["softmax", "sigmoid"]
    head_weights: dict[str, Factor] = Field(min_length=1)
    reduction: Literal["labeled", "all_pixels"] = "labeled"
    class_weights: tuple[Factor, ...] | Literal["balanced"] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ohem: OhemSection | None = None

    @field_validator("head_weights", "class_weights")
    @classmethod
    def _something_counts(cls, weights: Any) -> Any:
        values = weights.values() if isinstance(weights, dict) else weights
        if values is not None and weights != "balanced" and not any(values):
            raise ValueError("every weight is 0, so there is nothing to learn; set at least one above 0")
        return weights


class Recipe(Section):
    """A training run. `docs/training.md` lists the keys.

    Attributes:
        iterations: optimizer steps.
        batch_size: images per optimizer step.
        accumulate: micro-batches per step; each has `batch_size / accumulate` images, which needs less memory but
            computes batch normalization over fewer images.
        precision: of activations; weights and losses are always float32.
        ema_decay: decay of the moving average of the weights, which is then scored and stored; null stores the weights
            themselves.
        clip_gradient_norm: largest norm of the gradient; larger gradients are scaled down to it. null does not clip.
        evaluate_every: iterations between evaluations.
        save_every: iterations between saved states, from which the run can be resumed.
        log_every: iterations between lines of the log.
        seed: of the initial weights, the order of the images, their augmentation and dropout.
    """

    data: DataSection
    model: ModelSection
    optimizer: Annotated[SgdOptimizer | AdamwOptimizer, Field(discriminator="kind")]
    schedule: Annotated[PolySchedule | CosineSchedule | StepSchedule, Field(discriminator="kind")]
    loss: LossSection
    iterations: Count
    batch_size: BatchSize
    accumulate: BatchSize = 1
    precision: Literal["float32", "bf16", "fp16"]
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None
    clip_gradient_norm: Annotated[float, Field(gt=0, le=1e12)] | None = None
    evaluate_every: Count
    save_every: Count = 500
    log_every: Count = 20
    seed: Seed

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be split into {self.accumulate} equal micro-batches (accumulate)"
            )
        if self.schedule.warmup_iterations >= self.iterations:
            raise ValueError(
                f"schedule.warmup_iterations {self.schedule.warmup_iterations} must be less than "
                f"iterations {self.iterations}"
            )
        if self.schedule.eta_min > self.optimizer.lr:
            raise ValueError(f"schedule.eta_min {self.schedule.eta_min} is above optimizer.lr {self.optimizer.lr}")
        return self

    @property
    def micro_batch_size(self) -> int:
        """Images in one forward pass."""
        return self.batch_size // self.accumulate
