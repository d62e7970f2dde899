"""`PretrainingRecipe`: everything that a pre-training run depends on, typed and validated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rapidseg.core.encoder_spec import EncoderNetwork
from rapidseg.core.input_paths import AbsolutePath
from rapidseg.recipes.schema import (
    AdamwOptimizer,
    CosineSchedule,
    Count,
    NetworkOptions,
    PolySchedule,
    Section,
    Seed,
    SgdOptimizer,
    Share,
    StepSchedule,
    Workers,
)

ViewSide = Annotated[int, Field(ge=8, le=4096)]
Aspect = Annotated[float, Field(ge=0.01, le=100)]
Jitter = Annotated[float, Field(ge=0, le=100)]
Gray = Annotated[float, Field(ge=-1000, le=1000)]  # of 0 to 255
Spread = Annotated[float, Field(ge=0.001, le=1000)]
Temperature = Annotated[float, Field(ge=0.002, le=1000)]  # of votes: exp(1 / 0.0014) exceeds float64
Width = Annotated[int, Field(ge=1, le=65536)]  # of a layer or a feature


class ViewSection(Section):
    """How a view of an image is made for the network; the formulas are in `rapidseg.pretraining.augmentation`.

    Attributes:
        image_size: height and width of a view, in pixels.
        scale_range: share of the image's area that a crop covers, before it is resized to `image_size`.
        aspect_range: width divided by height of a crop.
        flip: probability that a view is mirrored.
        color_jitter: largest relative change of brightness, contrast and saturation, and largest shift of the hue in
            turns (at most 0.5).
        color_jitter_probability: that a view's colors are changed.
        gray: probability that a view becomes gray.
        mean, std: RGB values of 0 to 255 are normalized as (value - mean) / std.
    """

    image_size: tuple[ViewSide, ViewSide]
    scale_range: tuple[Annotated[float, Field(ge=1e-6, le=1)], Annotated[float, Field(ge=1e-6, le=1)]]
    aspect_range: tuple[Aspect, Aspect] = (0.75, 4 / 3)
    flip: Share
    color_jitter: tuple[Jitter, Jitter, Jitter, Annotated[float, Field(ge=0, le=0.5)]]
    color_jitter_probability: Share
    gray: Share
    mean: tuple[Gray, Gray, Gray]
    std: tuple[Spread, Spread, Spread]

    @model_validator(mode="after")
    def _ranges_rise(self) -> ViewSection:
        for name, (low, high) in (("scale_range", self.scale_range), ("aspect_range", self.aspect_range)):
            if low > high:
                raise ValueError(f"{name} must be [lowest, highest], not {[low, high]}")
        return self


class ImagesSection(Section):
    """The images to learn from and to score.

    Attributes:
        root: a folder or a .zip file; `docs/pretraining.md` lists what it may contain.
        layout: how the images are stored; `auto` recognizes it.
        train: the split to learn from; `+` joins splits.
        val: the split whose images are classified to score the features; null trains without scores.
        train_limit, val_limit: take only that many images, the same number of each class; null takes all.
        skip_unreadable: skip images that cannot be decoded; otherwise the first of them ends the run.
        view: how images are shown to the network.
        workers: processes that read images where they do not fit in memory; 0 reads them in the training process.
        max_cache_mb: megabytes of decoded images that are kept in memory, or on the GPU; larger data sets, and images
            of different sizes, are read again in each epoch.
    """

    root: AbsolutePath | None = None
    layout: str = "auto"
    train: str = "train"
    val: str | None
    train_limit: Count | None = None
    val_limit: Count | None = None
    skip_unreadable: bool = False
    view: ViewSection
    workers: Workers = 2
    max_cache_mb: int = Field(default=4000, ge=0, le=1_000_000_000)


class EncoderSection(Section):
    """The network.

    Attributes:
        network: a ResNet, or `fast-scnn` for that network's own encoder.
        options: of the network: `stem` (`plain`, `deep`, or `cifar` for small images), `stem_width` and `width` of a
            ResNet; the options of the architecture for `fast-scnn`.
    """

    network: EncoderNetwork
    options: NetworkOptions = Field(default_factory=dict)


class InstanceDiscriminationSection(Section):
    """`rapidseg.pretraining.InstanceDiscrimination` explains the keys.

    Attributes:
        feature_dim: length of a feature.
        m: negatives per image; 0 computes the softmax over all images.
        temperature: by which similarities are divided.
        momentum: share of the new feature in an updated row of the memory bank.
    """

    name: Literal["instance-discrimination"]
    feature_dim: Width = 128
    m: int = Field(default=4096, ge=0, le=1_000_000_000)
    temperature: Temperature = 0.1
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.5


class ByolSection(Section):
    """`rapidseg.pretraining.Byol` explains the keys."""

    name: Literal["byol"]
    hidden_dim: Width = 1024
    projection_dim: Width = 256
    momentum: Share = 0.99


class SupervisedSection(Section):
    """`rapidseg.pretraining.Supervised` explains the keys."""

    name: Literal["supervised"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class EvaluationSection(Section):
    """How features are scored; methods that learn classes are scored by their own classifier.

    Attributes:
        every: epochs between scores.
        k: nearest neighbors that vote.
        temperature: of the votes' weights.
    """

    every: Count = 1
    k: Count = 200
    temperature: Temperature = 0.1


class PretrainingRecipe(Section):
    """A pre-training run. `docs/pretraining.md` lists the keys.

    Attributes:
        epochs: passes over the images.
        batch_size: images per optimizer step; the last batch of an epoch may have fewer.
        precision: of activations; weights, features and losses are always float32.
        save_every: iterations between saved states, from which the run can be resumed; a state is also saved after
            every evaluation.
        log_every: iterations between lines of the log.
        seed: of the initial weights, the memory bank, the order of the images and their augmentation.
    """

    data: ImagesSection
    encoder: EncoderSection
    method: Annotated[InstanceDiscriminationSection | ByolSection | SupervisedSection, Field(discriminator="name")]
    optimizer: Annotated[SgdOptimizer | AdamwOptimizer, Field(discriminator="kind")]
    schedule: Annotated[PolySchedule | CosineSchedule | StepSchedule, Field(discriminator="kind")]
    evaluation: EvaluationSection = EvaluationSection()
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=2, le=100_000)]
    precision: Literal["float32", "bf16", "fp16"]
    save_every: Count = 500
    log_every: Count = 20
    seed: Seed
