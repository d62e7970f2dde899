"""From a recipe to what a run needs: data, network and losses."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from rapidseg import __version__
from rapidseg.core.errors import ConfigError, DatasetError
from rapidseg.core.progress import Counter
from rapidseg.data import Dataset, open_dataset
from rapidseg.data.augmentation import TrainingSamples
from rapidseg.importing import load_backbone
from rapidseg.losses import HeadLosses, Ohem, PixelLoss, balanced_class_weights
from rapidseg.models import SegmentationModel, count_parameters, create_model
from rapidseg.recipes.schema import DataSection, LossSection, ModelSection, Recipe
from rapidseg.training.cpu import keep_freed_memory
from rapidseg.training.loader import SampleLoader
from rapidseg.training.module import TrainingModule


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run needs.

    Attributes:
        module: the network and its losses.
        loader: the batches of the whole run.
        train: what is learned.
        val: what is scored; None if nothing is.
        device: where it is computed.
    """

    module: TrainingModule
    loader: SampleLoader
    train: Dataset
    val: Dataset | None
    device: Literal["cpu", "cuda"]


def prepare(
    recipe: Recipe, device: str = "auto", *, from_the_start: bool = True, progress: Counter | None = None
) -> Prepared:
    """Does everything that comes before the first step, without reading images unless classes are to be balanced.

    Args:
        recipe: the run.
        device: `cpu`, `cuda`, or `auto`, which takes a CUDA GPU if there is one.
        from_the_start: whether the first weights matter; not so where a saved state will take their place.
        progress: is called with the bytes of the backbone's weights that were downloaded and those in all, or None.

    Raises:
        ConfigError: the recipe does not fit the data or the network, or the device is not there.
        DatasetError: the data are missing or incomplete, or their classes differ.
        ModelFileError, RapidSegError: the backbone's weights cannot be had, or do not fit it.
    """
    chosen = _choose_device(device)
    if chosen == "cpu":
        if recipe.precision == "fp16":
            raise ConfigError("precision fp16 needs a CUDA GPU; take bf16 or float32 on a CPU")
        keep_freed_memory()
    torch.manual_seed(recipe.seed)
    train = _open_training_data(recipe.data)
    val = None if recipe.data.val is None else open_dataset(recipe.data.kind, recipe.data.root, recipe.data.val)
    model = _make_model(recipe.model, train)
    losses = _make_losses(recipe.loss, train)
    losses.check_outputs(_outputs_of(model))
    if from_the_start and recipe.model.backbone_weights is not None:
        load_backbone(model, recipe.model.backbone_weights, progress=progress)
    samples = TrainingSamples(
        train,
        recipe.data.augmentation,
        class_names=train.labels.names,
        ignore_index=train.labels.ignore_index,
        fill=model.spec.mean,
        seed=recipe.seed,
        cache=recipe.data.cache,
    )
    loader = SampleLoader(
        samples,
        micro_batch_size=recipe.micro_batch_size,
        num_passes=recipe.iterations * recipe.accumulate,
        workers=recipe.data.workers,
        pin_memory=chosen == "cuda",
    )
    return Prepared(TrainingModule(recipe, model, losses), loader, train, val, chosen)


def check_run(recipe: Recipe, device: str = "auto", *, progress: Counter | None = None) -> dict[str, Any]:
    """Prepares a run and computes the loss of its first batch; writes nothing.

    Returns:
        For JSON: the `loss`, `loss_parts` of each head, the number of `train_images`, `val_images` and `parameters`,
        and the `device`.

    Raises:
        ConfigError, DatasetError: as `prepare` does, and for images of the first batch that cannot be used.
    """
    prepared = prepare(recipe, device, progress=progress)
    module = prepared.module.to(prepared.device)
    with closing(prepared.loader) as loader:  # or its workers would keep the process from ending
        batch = next(iter(loader))
    batch = batch._replace(images=batch.images.to(prepared.device), labels=batch.labels.to(prepared.device))
    with torch.no_grad():
        loss, parts = module.compute_loss(batch)
    return {
        "loss": loss.item(),
        "loss_parts": {name: part.item() for name, part in parts.items()},
        "train_images": len(prepared.train),
        "val_images": None if prepared.val is None else len(prepared.val),
        "parameters": count_parameters(module.model),
        "device": prepared.device,
    }


def count_pixels(dataset: Dataset) -> np.ndarray:
    """Reads every sample and returns (K,) int64, the pixels of each class.

    Raises:
        DatasetError: no pixel is labeled.
    """
    counts = np.zeros(256, np.int64)
    for sample in dataset:
        counts += np.bincount(sample.label.ravel(), minlength=256)
    counts = counts[: dataset.labels.num_classes]
    if not counts.any():
        raise DatasetError(
            f"{dataset.name} {dataset.split}: every pixel is ignored, so there is nothing to learn; look at the labels "
            "with `rapidseg data check`"
        )
    return counts


def _choose_device(device: str) -> Literal["cpu", "cuda"]:
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {device!r}; give auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA GPU can be used; take device cpu, or install a CUDA build of PyTorch")
    return "cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda"


def _open_training_data(options: DataSection) -> Dataset:
    parts = [open_dataset(options.kind, options.root, options.train)] * options.repeat
    for extra in options.extra:
        parts += [open_dataset(extra.kind, extra.root, extra.split)] * extra.repeat
    return Dataset.join(parts)


def _make_model(options: ModelSection, train: Dataset) -> SegmentationModel:
    """Builds the network with fresh weights and all that its specification can say before training."""
    model = create_model(options.name, labels=train.labels, variant=options.variant, **options.options)
    source = f"trained with rapidseg {__version__}"
    if options.backbone_weights is not None:
        source += f", beginning from the backbone {PurePath(options.backbone_weights).name}"
    model.spec = model.spec.model_copy(
        update={
            "input_short_side": options.input_short_side,
            "dataset": f"{train.name} {train.split}",
            "source": source,
        }
    )
    if options.bn_momentum is not None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = options.bn_momentum
    return model


def _outputs_of(model: SegmentationModel) -> list[str]:
    """Returns the names of what a network computes."""
    model.eval()
    with torch.inference_mode():
        names = list(model.forward_all(torch.zeros(1, 3, 64, 64)))
    model.train()
    return names


def _make_losses(options: LossSection, train: Dataset) -> HeadLosses:
    weights = options.class_weights
    if weights == "balanced":
        weights = tuple(balanced_class_weights(count_pixels(train)).tolist())
    loss = PixelLoss(
        options.kind,
        num_classes=train.labels.num_classes,
        ignore_index=train.labels.ignore_index,
        average=options.average,
        class_weights=weights,
        label_smoothing=options.label_smoothing,
        ohem=None if options.ohem is None else Ohem(**options.ohem.model_dump()),
    )
    return HeadLosses(loss, options.head_weights)
