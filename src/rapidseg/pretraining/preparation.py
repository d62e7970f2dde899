"""From a recipe to the parts of a pre-training run: images, encoder and method."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import torch

from rapidseg import __version__
from rapidseg.core.encoder_spec import EncoderSpec
from rapidseg.core.errors import ConfigError, SplitError
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW
from rapidseg.data.classification import LabeledImages, check_classes, open_images
from rapidseg.models.network_options import resolve_options
from rapidseg.pretraining.batches import ImageSet, Indices, PretrainingBatches, ViewMaker
from rapidseg.pretraining.encoder import Encoder, options_schema
from rapidseg.pretraining.methods import (
    Byol,
    InstanceDiscrimination,
    InstanceDiscriminationMethod,
    Method,
    Supervised,
)
from rapidseg.pretraining.module import PretrainingModule
from rapidseg.pretraining.plan import PretrainingPlan
from rapidseg.pretraining.pretraining_report import PretrainingCheck
from rapidseg.recipes.pretraining_schema import (
    ByolSection,
    EncoderSection,
    ImagesSection,
    InstanceDiscriminationSection,
    PretrainingRecipe,
    SupervisedSection,
)
from rapidseg.system.cpu import thread_limit
from rapidseg.training.loader import BatchLoader
from rapidseg.training.preparation import prepare_process
from rapidseg.training.rehearsal import StepPass, check_finite, rehearse


@dataclass(frozen=True, eq=False)
class PreparedPretraining:
    """The parts of a run.

    Attributes:
        plan: its length and rhythm.
        module: the method and its optimizer.
        loader: the batches of the whole run.
        train: the images to learn from.
        val: the images to score; None without scores.
        num_classes: of the images; 0 without classes.
        device: that the run uses.
    """

    plan: PretrainingPlan
    module: PretrainingModule
    loader: BatchLoader[Indices]
    train: ImageSet
    val: ImageSet | None
    num_classes: int
    device: Literal["cpu", "cuda"]


def prepare_pretraining(
    recipe: PretrainingRecipe, device: str = "auto", *, progress: Progress = SILENT
) -> PreparedPretraining:
    """Does everything before the first step, including decoding images that fit in memory.

    Args:
        recipe: of the run.
        device: `cpu`, `cuda`, or `auto`, which uses a CUDA GPU if one is available.
        progress: reports the images that are decoded, and those that are skipped.

    Raises:
        ConfigError: the recipe does not fit the images, or the device is not available.
        DatasetError: the images are missing or damaged.
    """
    chosen = prepare_process(device, recipe.precision, recipe.seed)
    _check_encoder(recipe.encoder)
    data = recipe.data
    train_images = _open(data, "train", progress)
    val_images = None if data.val is None else _open(data, "val", progress)
    _check_classes(recipe, train_images, val_images)
    cache_mb = data.max_cache_mb
    train = ImageSet(train_images, data.view, max_cache_mb=cache_mb, progress=progress)
    val = None if val_images is None else ImageSet(val_images, data.view, max_cache_mb=cache_mb, progress=progress)
    if recipe.evaluation.k > len(train) and val is not None and not isinstance(recipe.method, SupervisedSection):
        raise ConfigError(
            f"k is {recipe.evaluation.k}, but there are only {len(train)} training images to choose neighbors from; "
            f"set evaluation.k (--k) to {len(train)} at most"
        )
    method = _make_method(recipe, _make_encoder(recipe, train_images), train_images)
    batches = PretrainingBatches(train, recipe.batch_size, method.num_views, recipe.seed)
    plan = PretrainingPlan.from_recipe(recipe, len(train), batches.per_epoch)
    workers = 0 if train.cuts_on_device else min(data.workers, thread_limit() or data.workers)
    loader = BatchLoader(batches, num_batches=plan.iterations, workers=workers, pin_memory=False)
    module = PretrainingModule(plan, method, ViewMaker(train, method.num_views, recipe.seed))
    return PreparedPretraining(plan, module, loader, train, val, len(train_images.class_names), chosen)


def rehearse_pretraining(recipe: PretrainingRecipe, prepared: PreparedPretraining) -> None:
    """Computes one pass of one step, forward and backward, with blank images; changes nothing that the run computes.

    Raises:
        ConfigError: the network cannot compute it, or it does not fit in memory.
    """
    module, train = prepared.module.to(prepared.device), prepared.train
    num_views = module.method.num_views

    def compute(images: int, size_hw: SizeHW) -> torch.Tensor:
        indices = torch.arange(images).remainder(len(train))
        views = torch.zeros(num_views, images, *size_hw, 3, dtype=torch.uint8)
        cuts = train.cuts_on_device and size_hw == train.view.image_size
        return module.compute_loss(Indices(0, indices, None if cuts else views))

    step = pretraining_pass(recipe, prepared)
    rehearse(module, compute, step, device=prepared.device, precision=recipe.precision)
    module.forget_batch()


def pretraining_pass(recipe: PretrainingRecipe, prepared: PreparedPretraining) -> StepPass:
    """Returns what the network computes at once in a step of a run."""
    return StepPass(
        images=min(recipe.batch_size, len(prepared.train)),
        size_hw=recipe.data.view.image_size,
        raise_images="raise batch_size",
        save_memory="lower batch_size, data.view.image_size, or method.m where the method has it",
    )


def check_pretraining(
    recipe: PretrainingRecipe, device: str = "auto", *, progress: Progress = SILENT
) -> PretrainingCheck:
    """Prepares a run and computes the loss and the gradients of a batch; writes nothing.

    Raises:
        ConfigError, DatasetError: as `prepare_pretraining` does, for images of the first batch, and for a pass that the
            network cannot compute or that does not fit in memory.
        TrainingError: the loss is not finite.
    """
    prepared = prepare_pretraining(recipe, device, progress=progress)
    rehearse_pretraining(recipe, prepared)
    module = prepared.module.to(prepared.device)
    with closing(prepared.loader) as loader, torch.no_grad():
        loss = module.compute_loss(next(iter(loader)))
    check_finite(loss)
    return PretrainingCheck(
        loss=loss.item(),
        train_images=len(prepared.train),
        val_images=None if prepared.val is None else len(prepared.val),
        parameters=sum(parameter.numel() for parameter in module.method.encoder.parameters()),
        device=prepared.device,
        iterations=prepared.plan.iterations,
    )


def _check_encoder(section: EncoderSection) -> None:
    """Refuses options that the encoder's constructor would refuse, before images are read."""
    schema = options_schema(section.network)
    try:
        resolve_options(schema, section.options, network=section.network)
    except ConfigError as error:
        has_others = not schema.model_fields.keys() >= section.options.keys()
        advice = f"; for the defaults of {section.network}, set encoder.options={{}}" if has_others else ""
        raise ConfigError(f"encoder.options: {error}{advice}") from error


def _open(data: ImagesSection, use: Literal["train", "val"], progress: Progress) -> LabeledImages:
    """Opens the split of `data.train` or `data.val`."""
    split = data.train if use == "train" else data.val
    limit = data.train_limit if use == "train" else data.val_limit
    assert split is not None
    if data.root is None:
        raise ConfigError("pass the folder or .zip file of the images: --root PATH, or data.root in the recipe")
    if use == "train" and limit == 1:
        raise ConfigError("data.train_limit=1 leaves 1 image to learn from; set data.train_limit to 2 or more, or null")
    try:
        return open_images(
            data.root, split, layout=data.layout, skip_unreadable=data.skip_unreadable, limit=limit, progress=progress
        )
    except SplitError as error:
        values = list(error.available)
        if use == "val":  # not the images to learn from
            values = [*(name for name in values if name not in data.train.split("+")), "null"]
        raise SplitError(f"{error}; set {' or '.join(f'data.{use}={value}' for value in values)}") from error


def _check_classes(recipe: PretrainingRecipe, train: LabeledImages, val: LabeledImages | None) -> None:
    if isinstance(recipe.method, SupervisedSection) or val is not None:
        use = "the method 'supervised' learns" if isinstance(recipe.method, SupervisedSection) else "scores need"
        if train.labels is None or (val is not None and val.labels is None):
            raise ConfigError(
                f"{use} the class of each image, and {train.name} has none; use a folder per class, or a method "
                "without labels with data.val=null"
            )
        check_classes(train)
    if val is not None and train.class_names != val.class_names:
        raise ConfigError(f"{train.name}: the classes of {train.split} and {val.split} differ; use the same folders")


def _make_encoder(recipe: PretrainingRecipe, train: LabeledImages) -> Encoder:
    method, view = recipe.method, recipe.data.view
    return Encoder(
        EncoderSpec(
            network=recipe.encoder.network,
            options=recipe.encoder.options,
            feature_dim=method.feature_dim if isinstance(method, InstanceDiscriminationSection) else None,
            mean=view.mean,
            std=view.std,
            image_size=view.image_size,
            method=method.name,
            dataset=f"{train.name}/{train.split}",
            source=f"pre-trained with rapidseg {__version__}",
        )
    )


def _make_method(recipe: PretrainingRecipe, encoder: Encoder, train: LabeledImages) -> Method:
    options = recipe.method
    if isinstance(options, SupervisedSection):
        return Supervised(encoder, len(train.class_names), options.label_smoothing)
    if isinstance(options, ByolSection):
        return Byol(encoder, options.hidden_dim, options.projection_dim, options.momentum)
    task = InstanceDiscrimination(len(train), options.feature_dim, options.m, options.temperature, options.momentum)
    return InstanceDiscriminationMethod(encoder, task)
