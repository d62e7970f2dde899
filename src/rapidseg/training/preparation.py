"""From a recipe to the parts of a run: data, network and losses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import numpy as np
import torch
from torch import nn

from rapidseg import __version__
from rapidseg.core.errors import ConfigError, DatasetError
from rapidseg.core.progress import SILENT, Counter, Progress, counter
from rapidseg.core.sizes import SizeHW
from rapidseg.core.spec import join_splits
from rapidseg.data import Dataset, open_dataset
from rapidseg.data.augmentation import TrainingSamples
from rapidseg.importing import WeightsUse, initialize_from, load_backbone
from rapidseg.losses import HeadLosses, Ohem, PixelLoss, balanced_class_weights
from rapidseg.models import SegmentationModel, count_parameters, create_model
from rapidseg.recipes.schema import DataSection, LossSection, ModelSection, Recipe
from rapidseg.system.cpu import limit_library_threads, thread_limit
from rapidseg.training.cpu_settings import keep_freed_memory
from rapidseg.training.loader import Batch, BatchLoader, SegmentationBatches, blank_batch
from rapidseg.training.module import TrainingModule
from rapidseg.training.rehearsal import StepPass, check_finite, rehearse
from rapidseg.training.training_report import RunCheck


@dataclass(frozen=True, eq=False)
class Prepared:
    """The parts of a run.

    Attributes:
        module: the network, its losses and its optimizer.
        loader: the micro-batches of the whole run.
        train: the data to learn from.
        val: the data to score; None without validation.
        device: that the run uses.
        initial_weights: what the network starts from; None for random weights.
    """

    module: TrainingModule
    loader: BatchLoader[Batch]
    train: Dataset
    val: Dataset | None
    device: Literal["cpu", "cuda"]
    initial_weights: WeightsUse | None


def prepare(
    recipe: Recipe,
    device: str = "auto",
    *,
    resuming: bool = False,
    initial_weights: WeightsUse | None = None,
    progress: Progress = SILENT,
) -> Prepared:
    """Does everything before the first step. Reads images only to balance classes (`loss.class_weights: balanced`).

    Args:
        recipe: of the run.
        device: `cpu`, `cuda`, or `auto`, which uses a CUDA GPU if one is available.
        resuming: whether a saved state will replace the initial weights, which are then not read.
        initial_weights: what the run that is resumed started from.
        progress: reports the download of initial weights, what of them is used, and the images whose pixels are
            counted.

    Raises:
        ConfigError: the recipe does not fit the data or the network, or the device is not available.
        DatasetError: the data are missing or incomplete, or their classes differ.
        ModelFileError, RapidSegError: the initial weights are not available, or do not fit.
    """
    chosen = prepare_process(device, recipe.precision, recipe.seed)
    parts = _open_training_data(recipe.data)
    train = Dataset.join(parts)
    val = None if recipe.data.val is None else open_dataset(recipe.data.name, recipe.data.root, recipe.data.val)
    model = _make_model(recipe.model, train, _trained_on(parts))
    losses = _make_losses(recipe.loss, train, counter(progress, "counting pixels of classes"))
    losses.check_outputs(_outputs_of(model))
    if not resuming:
        initial_weights = _initialize(model, recipe.model, progress)
    if initial_weights is not None:
        model.spec = initial_weights.updated(model.spec)
    samples = TrainingSamples(
        train,
        recipe.data.augmentation,
        class_names=train.labels.names,
        ignore_index=train.labels.ignore_index,
        fill=model.spec.mean,
        seed=recipe.seed,
        cache=recipe.data.cache,
    )
    loader = BatchLoader(
        SegmentationBatches(samples, recipe.micro_batch_size),
        num_batches=recipe.iterations * recipe.accumulate,
        workers=min(recipe.data.workers, thread_limit() or recipe.data.workers),
        pin_memory=chosen == "cuda",
    )
    return Prepared(TrainingModule(recipe, model, losses), loader, train, val, chosen, initial_weights)


def rehearse_step(recipe: Recipe, prepared: Prepared) -> None:
    """Computes one pass of one step, forward and backward, with a blank batch; changes nothing that the run computes.

    Raises:
        ConfigError: the network cannot compute it, or it does not fit in memory.
    """
    module, labels = prepared.module.to(prepared.device), prepared.train.labels
    stride = recipe.data.augmentation.label_stride

    def compute(images: int, size_hw: SizeHW) -> torch.Tensor:
        batch = blank_batch(images, size_hw, stride, labels.num_classes)
        return module.compute_loss(batch.to(prepared.device))[0]

    rehearse(module, compute, step_pass(recipe), device=prepared.device, precision=recipe.precision)


def step_pass(recipe: Recipe) -> StepPass:
    """Returns what the network computes at once in a step of a run."""
    split = " or lower accumulate" if recipe.accumulate > 1 else ""
    return StepPass(
        images=recipe.micro_batch_size,
        size_hw=recipe.data.augmentation.crop_size,
        raise_images=f"raise batch_size{split}",
        save_memory="lower batch_size, raise accumulate, or lower data.augmentation.crop_size",
    )


def check_run(recipe: Recipe, device: str = "auto", *, progress: Progress = SILENT) -> RunCheck:
    """Prepares a run and computes the loss and the gradients of its first batch; writes nothing.

    Raises:
        ConfigError, DatasetError: as `prepare` does, for images of the first batch that cannot be used, and for a pass
            that the network cannot compute or that does not fit in memory.
        TrainingError: the loss is not finite.
    """
    prepared = prepare(recipe, device, progress=progress)
    rehearse_step(recipe, prepared)
    module = prepared.module.to(prepared.device)
    with closing(prepared.loader) as loader:  # ends its workers
        batch = next(iter(loader)).to(prepared.device)
    with torch.no_grad():
        loss, parts = module.compute_loss(batch)
    check_finite(loss)
    return RunCheck(
        loss=loss.item(),
        loss_parts={name: part.item() for name, part in parts.items()},
        train_images=len(prepared.train),
        val_images=None if prepared.val is None else len(prepared.val),
        parameters=count_parameters(module.model),
        device=prepared.device,
    )


def count_class_pixels(dataset: Dataset, progress: Counter | None = None) -> np.ndarray:
    """Reads every sample and returns (K,) int64, the number of pixels of each class.

    Raises:
        DatasetError: no pixel is labeled.
    """
    counts = np.zeros(256, np.int64)
    for done, sample in enumerate(dataset, start=1):
        counts += np.bincount(sample.label.ravel(), minlength=256)
        if progress is not None:
            progress(done, len(dataset))
    counts = counts[: dataset.labels.num_classes]
    if not counts.any():
        raise DatasetError(
            f"{dataset.name} {dataset.split}: every pixel is ignored, so there is nothing to learn; check the labels "
            "with `rapidseg data check`"
        )
    return counts


def prepare_process(device: str, precision: str, seed: int) -> Literal["cpu", "cuda"]:
    """Sets threads, memory and the seed of this process for a run, and returns where the run computes.

    Raises:
        ConfigError: the device is not available, or does not compute in the precision.
    """
    chosen = choose_device(device)
    limit_library_threads()
    if chosen == "cpu":
        if precision == "fp16":
            raise ConfigError("precision fp16 needs a CUDA GPU; use bf16 or float32 on a CPU")
        keep_freed_memory()
    torch.manual_seed(seed)
    return chosen


def choose_device(device: str) -> Literal["cpu", "cuda"]:
    """Returns where a run computes: what was asked for, if it is available.

    Raises:
        ConfigError: it is not, or is unknown.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {device!r}; use auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("PyTorch finds no CUDA GPU; use device cpu, or install a CUDA build of PyTorch")
    return "cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda"


def _open_training_data(options: DataSection) -> list[Dataset]:
    parts = [open_dataset(options.name, options.root, options.train)] * options.repeat
    for extra in options.extra_datasets:
        parts += [open_dataset(extra.name, extra.root, extra.split)] * extra.repeat
    return parts


def _trained_on(parts: Sequence[Dataset]) -> tuple[str, ...]:
    """Returns each `dataset/split` once, as the specification of the weights lists them."""
    return tuple(dict.fromkeys(f"{part.name}/{split}" for part in parts for split in part.split.split("+")))


def _make_model(options: ModelSection, train: Dataset, trained_on: tuple[str, ...]) -> SegmentationModel:
    """Builds the network with initial weights, and states in its specification what is known before training."""
    reserved = {"name", "num_classes", "labels", "variant"} & options.options.keys()
    if reserved:
        raise ConfigError(f"model.options: {reserved.pop()!r} is not an option of {options.name}; remove it")
    model = create_model(options.name, labels=train.labels, variant=options.variant, **options.options)
    source = f"trained with rapidseg {__version__}"
    if options.weights is not None:
        source += f", starting from {PurePath(options.weights).name}"
    if options.backbone_weights is not None:
        source += f", starting from the backbone {PurePath(options.backbone_weights).name}"
    model.spec = model.spec.model_copy(
        update={
            "input_short_side": options.input_short_side,
            "dataset": join_splits(trained_on),
            "trained_on": trained_on,
            "source": source,
        }
    )
    if options.bn_momentum is not None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = options.bn_momentum
    return model


def _initialize(model: SegmentationModel, options: ModelSection, progress: Progress) -> WeightsUse | None:
    """Loads the weights that the recipe names, and reports what was used; returns None for random weights."""
    downloading = counter(progress, "downloading", unit="bytes")
    if options.weights is not None:
        use = initialize_from(model, options.weights, progress=downloading, note=progress.message)
    elif options.backbone_weights is not None:
        use = load_backbone(model, options.backbone_weights, progress=downloading, note=progress.message)
    else:
        return None
    progress.message(use.summary())
    return use


def _outputs_of(model: SegmentationModel) -> list[str]:
    """Returns the names of a network's outputs."""
    model.eval()
    with torch.inference_mode():
        names = list(model.forward_all(torch.zeros(1, 3, 64, 64)))
    model.train()
    return names


def _make_losses(options: LossSection, train: Dataset, progress: Counter) -> HeadLosses:
    weights = options.class_weights
    if weights == "balanced":
        weights = tuple(balanced_class_weights(count_class_pixels(train, progress)).tolist())
    loss = PixelLoss(
        options.kind,
        num_classes=train.labels.num_classes,
        ignore_index=train.labels.ignore_index,
        reduction=options.reduction,
        class_weights=weights,
        label_smoothing=options.label_smoothing,
        ohem=None if options.ohem is None else Ohem(**options.ohem.model_dump()),
    )
    return HeadLosses(loss, options.head_weights)
