"""`Recipe`: everything that a training run depends on, typed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rapidseg.data.augmentation import Augmentation

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Source(Section):
    """Files of a data set.

    Attributes:
        kind: `camvid`, `cityscapes`, `cityscapes-coarse`, or the path of a YAML file that describes the data set.
        root: the folder that holds it; null where a YAML file states it.
    """

    kind: str
    root: Path | None

    @field_validator("kind")
    @classmethod
    def _kind_is_absolute(cls, kind: str) -> str:
        return str(Path(kind).expanduser().absolute()) if kind.endswith((".yaml", ".yml")) else kind

    @field_validator("root")
    @classmethod
    def _root_is_absolute(cls, root: Path | None) -> Path | None:
        return None if root is None else root.expanduser().absolute()


class ExtraData(_Source):
    """More samples to learn from, with the same classes.

    Attributes:
        split: which of its samples.
        repeat: how often each of them stands in an epoch.
    """

    split: str
    repeat: Count = 1


class DataSection(_Source):
    """What is learned and what is scored.

    Attributes:
        train: the split to learn from; splits may be joined, as in `train+val`.
        repeat: how often each of its samples stands in an epoch, which matters beside `extra`.
        val: the split that chooses the best weights; null trains without scoring.
        extra: further data sets to learn from.
        augmentation: how samples are changed before the network sees them.
        workers: processes that read and augment; 0 does it in the training process.
        cache: keep decoded images in memory, in each of these processes.
    """

    train: str
    repeat: Count = 1
    val: str | None
    extra: tuple[ExtraData, ...] = ()
    augmentation: Augmentation
    workers: int = Field(ge=0)
    cache: bool = False


class ModelSection(Section):
    """Which network.

    Attributes:
        name: its architecture.
        variant: a named combination of its options; null takes the architecture's first.
        options: single options that differ from the variant's.
        backbone_weights: file or address of ImageNet weights with which the backbone begins; null: random ones. A run
            that goes on does not need it again.
        bn_momentum: share of a new batch in the running statistics of batch normalization; null leaves
            PyTorch's 0.1.
        input_short_side: pixels of the shorter image side in scoring and, by default, in prediction; null takes
            images at their own size. Written to the model's specification.
    """

    name: str
    variant: str | None = None
    options: dict[str, Any] = {}
    backbone_weights: str | None = None
    bn_momentum: Annotated[float, Field(gt=0, le=1)] | None = None
    input_short_side: Annotated[int, Field(ge=32)] | None = None

    @field_validator("backbone_weights")
    @classmethod
    def _file_is_absolute(cls, weights: str | None) -> str | None:
        return weights if weights is None or "://" in weights else str(Path(weights).expanduser().absolute())


class _Optimizer(Section):
    """What every optimizer has.

    Attributes:
        lr: the base rate, for the whole `batch_size`.
        weight_decay: strength of weight decay.
        decay_norm_and_bias: whether weight decay also applies to biases and to the weights of normalization.
    """

    lr: Positive
    weight_decay: NotNegative
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
    betas: tuple[Share, Share] = (0.9, 0.999)


class _Schedule(Section):
    """What every schedule has; `rapidseg.training.schedule` has the formulas.

    Attributes:
        eta_min: the rate of the last iteration.
        warmup_iterations: iterations before the full rate is reached.
        warmup_start: factor of the base rate in the first iteration of the warm-up.
    """

    eta_min: NotNegative
    warmup_iterations: int = Field(default=0, ge=0)
    warmup_start: Annotated[float, Field(gt=0, le=1)] = 0.001


class PolySchedule(_Schedule):
    """The rate falls as a power of the share of iterations that is left."""

    kind: Literal["poly"]
    power: Positive


class CosineSchedule(_Schedule):
    """The rate falls as half a cosine wave."""

    kind: Literal["cosine"]


class OhemSection(Section):
    """Which pixels count; `rapidseg.losses.Ohem` explains them. Give one of `min_kept` and `kept_share`."""

    threshold: Share | None = None
    min_kept: Count | None = None
    kept_share: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_number(self) -> OhemSection:
        if (self.min_kept is None) == (self.kept_share is None):
            raise ValueError("give either min_kept (pixels an image) or kept_share (share of the labeled pixels)")
        return self


class LossSection(Section):
    """What is minimized; `rapidseg.losses.PixelLoss` explains the keys.

    Attributes:
        head_weights: the factor of each output of the network.
        class_weights: a factor for each class, in their order; or `balanced`, from the pixels of the training split.
    """

    kind: Literal["softmax", "sigmoid"]
    head_weights: dict[str, NotNegative] = Field(min_length=1)
    average: Literal["labeled", "all_pixels"] = "labeled"
    class_weights: tuple[NotNegative, ...] | Literal["balanced"] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ohem: OhemSection | None = None


class Recipe(Section):
    """A training run. `docs/training.md` lists the keys.

    Attributes:
        iterations: steps of the optimizer.
        batch_size: images in one step of the optimizer, all in all.
        accumulate: passes through the network that make up one step; each sees `batch_size / accumulate` images,
            which needs less memory but computes batch normalization over fewer images.
        precision: of activations; weights and losses are always float32.
        ema_decay: decay of the moving average of the weights that is scored and stored; null stores the weights
            themselves.
        clip_gradient_norm: longest gradient; longer ones are scaled down to it. null leaves them.
        evaluate_every: iterations between two evaluations.
        save_every: iterations between two states on disk from which the run can go on.
        log_every: iterations between two lines of the log.
        seed: of the first weights, the order of the samples, their augmentation and dropout.
    """

    data: DataSection
    model: ModelSection
    optimizer: Annotated[SgdOptimizer | AdamwOptimizer, Field(discriminator="kind")]
    schedule: Annotated[PolySchedule | CosineSchedule, Field(discriminator="kind")]
    loss: LossSection
    iterations: Count
    batch_size: Count
    accumulate: Count = 1
    precision: Literal["float32", "bf16", "fp16"]
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None
    clip_gradient_norm: Positive | None = None
    evaluate_every: Count
    save_every: Count = 500
    log_every: Count = 20
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} cannot be split into {self.accumulate} equal passes")
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
        """Images in one pass through the network."""
        return self.batch_size // self.accumulate
