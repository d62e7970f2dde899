"""How `rapidseg models` prints what it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from rapidseg.cli.console import console
from rapidseg.core.spec import ModelSpec
from rapidseg.recipes import RecipeSummary
from rapidseg.zoo import ArchitectureEntry, BuiltInModel, Figures, Measurement, PublishedModel, Reported

WIDE = 112  # columns of a terminal that takes all figures of a published model in one line
NOT_PUBLISHED = "not published"


def published_document(model: PublishedModel) -> dict[str, Any]:
    """Returns a published model for `--json`, with the commands that bring it."""
    document = model.model_dump(mode="json")
    document["weights"] = [
        {**weights.model_dump(mode="json"), "sha256_prefix": weights.sha256_prefix} for weights in model.weights
    ]
    return {**document, "commands": list(model.commands())}


def built_in_document(model: BuiltInModel, spec: ModelSpec) -> dict[str, Any]:
    """Returns a built-in model for `--json`, with the figures of its file."""
    measured = [measurement.model_dump(mode="json") for measurement in model.measurements(spec)]
    return {
        "name": model.name,
        "architecture": spec.architecture,
        "recipe": model.recipe,
        "page": model.page,
        "measured": measured,
    }


def architecture_table(entries: Iterable[ArchitectureEntry]) -> Table:
    """One line an architecture."""
    table = _table("Architectures", "name", "variants", "paper")
    for entry in entries:
        table.add_row(entry.name, ", ".join(entry.variants), entry.paper)
    return table


def published_table(models: Iterable[PublishedModel], *, wide: bool) -> Table:
    """One line a model. Where there is no room, what nearly all have in common is left out."""
    table = _table("Published models, figures of their sources", "name")
    if wide:
        table.add_column("backbone")
        for heading in ("crop", "iterations"):
            table.add_column(heading, justify="right")
    for heading in ("GPUs", "GB", "frames/s", "mIoU", "ms+flip"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in models:
        training, figures = model.training, model.published
        cells = [model.name + ("*" if model.revised else "")]
        if wide:
            cells += [model.backbone, _size(training.crop_size), f"{training.iterations}"]
        cells.append(f"{training.num_gpus}x{training.images_per_gpu}")
        cells += [cell or "-" for cell in _figures(figures)]
        table.add_row(*cells)
    table.caption = (
        "GPUs: their number x images of each. GB: memory of one in training. -: not published. "
        "*: a later table says something else; `show` has both."
        + ("" if wide else f" Backbone, crop and iterations: in `show`, or in a terminal of {WIDE} columns.")
    )
    table.caption_justify = "left"
    return table


def measured_table(published: Iterable[PublishedModel], built_in: Iterable[tuple[BuiltInModel, ModelSpec]]) -> Table:
    """Figures of ours. A built-in model is listed whether it has any or not."""
    table = _table("Built-in models, and figures measured with RapidSeg", "name", "figure", "data")
    for model, spec in built_in:
        for measurement in model.measurements(spec):
            table.add_row(model.name, _measured(measurement), measurement.data)
        if not model.measurements(spec):
            table.add_row(model.name, "-", "-")
    for row in published:
        for measurement in row.measured:
            table.add_row(row.name, _measured(measurement), measurement.data)
    return table


def recipe_table(recipes: Iterable[RecipeSummary]) -> Table:
    """One line a recipe."""
    table = _table("Recipes", "name", "network", "data")
    for heading in ("iterations", "batch"):
        table.add_column(heading, justify="right", no_wrap=True)
    for recipe in recipes:
        cells = (recipe.name, recipe.architecture, recipe.dataset, f"{recipe.iterations}", f"{recipe.batch_size}")
        table.add_row(*cells)
    return table


def print_published(model: PublishedModel) -> None:
    """Prints all that is known of a published model, and the commands that bring it."""
    training = model.training
    _print_title(model.name, model.method)
    _print_lines(
        {
            "backbone": model.backbone,
            "network": " ".join([model.architecture, model.variant, *_options(model.options)]),
            "data": model.dataset,
            "crop": _size(training.crop_size),
            "iterations": f"{training.iterations}",
            "batch": f"{training.num_gpus} GPUs x {training.images_per_gpu} images = {training.batch_size}",
            "configuration": model.configuration,
            "recipe": model.recipe,
        }
    )
    _print_figures("published", model.published)
    if model.revised:
        _print_figures("in a later table", model.revised)
    _print_measured(model.measured)
    for place, weights in enumerate(model.weights):
        _print_title("weights" if place == 0 else "also", weights.note or "")
        _print_lines({"address": weights.url, "SHA-256": f"{weights.sha256_prefix}..."})
    _print_commands("to get it, run it and score it", model.commands())


def print_built_in(model: BuiltInModel, spec: ModelSpec) -> None:
    """Prints what a built-in model's file and entry say."""
    _print_title(model.name, "in the package")
    side = spec.input_short_side
    _print_lines(
        {
            "network": " ".join([spec.architecture, *_options(spec.options)]),
            "classes": f"{spec.labels.num_classes}: {', '.join(spec.labels.names)}",
            "input size": f"shorter side {side} pixels" if side else "the image's own",
            **_quantization(spec),
            "trained on": spec.dataset or "-",
            "source": spec.source or "-",
            "license": spec.license or "-",
            "checksum": spec.checksum or "-",
            "recipe": model.recipe,
            "page": model.page,
        }
    )
    _print_measured(model.measurements(spec))
    _print_commands("to run it", (f"rapidseg predict photo.jpg --model {model.name}",))


def _quantization(spec: ModelSpec) -> dict[str, str]:
    """Returns what INT8 cost, for an INT8 file."""
    made = spec.quantization
    if made is None:
        return {}
    loss = 100 * (made.mean_iou_float32 - made.mean_iou)
    return {
        "INT8": f"{loss:.2f} points of mIoU lost on {made.dataset} {made.validation_split}; the class of float32 at "
        f"{made.agreement:.1%} of pixels; in floating point: {', '.join(made.fallback_layers) or 'no layer'}"
    }


def print_recipe(name: str, text: str, published: Sequence[str]) -> None:
    """Prints a recipe's file, which published models it trains, and how to start it."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    if published:
        console.print(f"trains what was published as {', '.join(published)}", highlight=False, soft_wrap=True)
    _print_commands("to run it", (f"rapidseg train {name} data.root=DIR --output runs/first",))


def print_architecture(
    entry: ArchitectureEntry,
    num_classes: int,
    size_hw: tuple[int, int],
    variants: Mapping[str, Mapping[str, Any]],
) -> None:
    """Prints parameters and multiply-accumulates of each variant, and where the variants differ."""
    _print_title(entry.name, entry.paper)
    console.print(f"{num_classes} classes, multiply-accumulates for one {_size(size_hw)} image", highlight=False)
    table = _table("", "variant")
    for heading in ("parameters", "in training", "multiply-accumulates"):
        table.add_column(heading, justify="right")
    for variant, figures in variants.items():
        table.add_row(
            variant,
            f"{figures['parameters']:,}",
            f"{figures['parameters_with_aux_heads']:,}",
            f"{figures['multiply_accumulates'] / 1e9:.2f} G",
        )
    console.print(table)
    for variant, figures in variants.items():
        if figures["differs_in"]:
            differs = ", ".join(_options(figures["differs_in"]))
            console.print(f"{variant} differs in {differs}", markup=False, highlight=False)
    if entry.reported:
        console.print(_reported_table(entry.reported))
        for source in dict.fromkeys(reported.source for reported in entry.reported):
            console.print(f"source: {source}", highlight=False, soft_wrap=True)


def _reported_table(figures: Iterable[Reported]) -> Table:
    table = _table("Figures of its authors", "method", "data")
    for heading in ("mIoU", "frames/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for reported in figures:
        mean_iou, rate = reported.mean_iou_percent, reported.frames_per_second
        table.add_row(
            reported.method,
            reported.data,
            "-" if mean_iou is None else f"{mean_iou} %",
            "-" if rate is None else f"{rate}",
        )
    return table


def _table(title: str, *headings: str) -> Table:
    """Returns a table of which the first column, a name, is never cut or wrapped."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0, overflow="fold")
    return table


def _figures(figures: Figures) -> tuple[str | None, str | None, str | None, str | None]:
    """Returns memory, frames/s, mIoU and mIoU with several scales and flip as text; None: not published."""

    def text(value: float | None, form: str) -> str | None:
        return None if value is None else format(value, form)

    return (
        text(figures.memory_gb, "g"),
        text(figures.frames_per_second, ".2f"),
        text(figures.mean_iou_percent, ".2f"),
        text(figures.mean_iou_ms_flip_percent, ".2f"),
    )


def _measured(measurement: Measurement) -> str:
    names = {
        "mean_iou": "mIoU",
        "mean_iou_ms_flip": "mIoU ms+flip",
        "latency_ms": "ms",
        "frames_per_second": "frames/s",
    }
    form = ".3f" if measurement.quantity.startswith("mean_iou") else ".2f"
    return f"{names[measurement.quantity]} {measurement.value:{form}}"


def _print_figures(title: str, figures: Figures) -> None:
    memory, rate, mean_iou, ms_flip = _figures(figures)
    _print_title(title, figures.note or "")
    _print_lines(
        {
            "memory of a GPU": f"{memory} GB" if memory else NOT_PUBLISHED,
            "frames/s": rate or NOT_PUBLISHED,
            "mIoU": f"{mean_iou} %" if mean_iou else NOT_PUBLISHED,
            "mIoU, ms+flip": f"{ms_flip} %" if ms_flip else NOT_PUBLISHED,
            "source": figures.source,
        }
    )


def _print_measured(measurements: Sequence[Measurement]) -> None:
    if not measurements:
        _print_title("measured with RapidSeg", "nothing yet")
    for measurement in measurements:
        _print_title("measured with RapidSeg", _measured(measurement))
        _print_lines({"command": measurement.command, "data": measurement.data, "machine": measurement.machine})


def _print_title(word: str, rest: str) -> None:
    console.print(f"[bold]{word}[/]" + (f": {rest}" if rest else ""), highlight=False, soft_wrap=True)


def _print_lines(lines: Mapping[str, str]) -> None:
    """Prints words and what they stand for; addresses are left whole, so that they can be copied."""
    width = max(map(len, lines))
    for word, text in lines.items():
        console.print(f"  {word:{width}}  {text}", markup=False, highlight=False, soft_wrap=True)


def _print_commands(title: str, commands: Iterable[str]) -> None:
    _print_title(title, "")
    for command in commands:
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)


def _options(options: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in options.items()]


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"
