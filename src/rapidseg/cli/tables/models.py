"""Tables and details of `rapidseg models`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, print_line
from rapidseg.core.sizes import format_size

if TYPE_CHECKING:
    from rapidseg.core.spec import ModelSpec
    from rapidseg.recipes import PretrainingSummary, RecipeSummary
    from rapidseg.workflows.model_cache import ModelCache
    from rapidseg.workflows.models import (
        ArchitectureDetails,
        BuiltIn,
        ModelDetails,
        ModelList,
        Published,
        RecipeDetails,
    )
    from rapidseg.zoo import ArchitectureEntry, Figures, MeasuredScore, PublishedModel, Reported

NOT_PUBLISHED = "not published"


def print_list(models: ModelList) -> None:
    """Prints every architecture, published model, built-in model and recipe."""
    for table in (
        _architecture_table(models.architectures),
        _published_table(models.published),
        _measured_table(models),
        _recipe_table(models.recipes),
        _pretraining_table(models.pretraining),
    ):
        console.print(table)
        console.print()
    print_line("Details: rapidseg models show NAME")


def print_details(details: ModelDetails) -> None:
    """Prints everything that is known about an architecture, recipe or model."""
    from rapidseg.workflows.models import ArchitectureDetails, BuiltIn, Published

    if isinstance(details, ArchitectureDetails):
        _print_architecture(details)
    elif isinstance(details, Published):
        _print_published(details.entry)
    elif isinstance(details, BuiltIn):
        _print_built_in(details)
    else:
        _print_recipe(details)


def print_cache(cache: ModelCache) -> None:
    """Prints a row per cached file, and their size together."""
    if cache.files:
        table = _table("Cached models")
        table.add_column("file", overflow="fold")  # names are long, and those of the other columns must stay whole
        table.add_column("kind", no_wrap=True)
        table.add_column("MB", justify="right", no_wrap=True)
        table.add_column("last used", no_wrap=True)
        for file in cache.files:
            table.add_row(
                escape(file.path.name), file.kind, f"{file.size_bytes / 1e6:.1f}", f"{file.last_used:%Y-%m-%d}"
            )
        console.print(table)
    print_line(cache.headline())


def _architecture_table(entries: Iterable[ArchitectureEntry]) -> Table:
    """One line per architecture."""
    table = _table("Architectures", "name", "variants", "paper")
    for entry in entries:
        table.add_row(entry.name, ", ".join(entry.variants), entry.paper)
    return table


def _published_table(models: Sequence[Published]) -> Table:
    """One line per model, narrow enough for 80 columns; what is the same for nearly all models is left to `show`."""
    table = _table("Published models, figures as published", "name")
    for heading in ("GPUs", "GB", "frames/s", "mIoU", "ms+flip"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in (published.entry for published in models):
        cells = [model.name + ("*" if model.revised else ""), _gpus(model)]
        table.add_row(*cells, *(cell or "-" for cell in _figures(model.published)))
    table.caption = (
        "GPUs: number x images per GPU. GB: training memory per GPU. -: not published. *: revised in a later table. "
        "Details, such as backbone, crop and iterations: rapidseg models show NAME. Every command takes the names, and "
        f"downloads the weights once. They run {_without_pytorch(models)}; `import` and `export` need the extra export."
    )
    table.caption_justify = "left"
    return table


def _without_pytorch(models: Sequence[Published]) -> str:
    needing = [model.name for model in models if model.needs_pytorch]
    return f"without PyTorch, apart from {', '.join(needing)}" if needing else "without PyTorch"


def _gpus(model: PublishedModel) -> str:
    return f"{model.training.num_gpus}x{model.training.images_per_gpu}"


def _measured_table(models: ModelList) -> Table:
    """Figures measured with RapidSeg. Every built-in model is listed; published models only where measured."""
    table = _table("Built-in models, and figures measured with RapidSeg", "name", "figure", "data")
    for built_in in models.built_in:
        for measurement in built_in.measurements:
            table.add_row(built_in.name, _measured(measurement), measurement.data)
        if not built_in.measurements:
            table.add_row(built_in.name, "-", "-")
    for model in models.published:
        for measurement in model.entry.measured:
            table.add_row(model.name, _measured(measurement), measurement.data)
    return table


def _recipe_table(recipes: Iterable[RecipeSummary]) -> Table:
    """One line per recipe."""
    table = _table("Recipes of rapidseg train", "name", "network", "data")
    table.add_column("iterations", justify="right", no_wrap=True)
    for recipe in recipes:
        table.add_row(recipe.name, recipe.architecture, recipe.dataset, f"{recipe.iterations}")
    return table


def _pretraining_table(recipes: Iterable[PretrainingSummary]) -> Table:
    """One line per pre-training recipe."""
    table = _table("Recipes of rapidseg pretrain", "name", "network")
    table.add_column("epochs", justify="right", no_wrap=True)
    for recipe in recipes:
        table.add_row(recipe.name, recipe.network, f"{recipe.epochs}")
    return table


def _print_published(model: PublishedModel) -> None:
    training = model.training
    _print_title(model.name, model.method)
    _print_lines(
        {
            "backbone": model.backbone,
            "network": " ".join([model.architecture, model.variant, *_options(model.options)]),
            "data": model.dataset,
            "crop": format_size(training.crop_size),
            "iterations": f"{training.iterations}",
            "batch": f"{training.num_gpus} GPUs x {training.images_per_gpu} images = {training.batch_size}",
            "configuration": model.configuration,
            "license": model.terms or "-",
            "recipe": model.recipe,
        }
    )
    _print_figures("published", model.published)
    if model.revised:
        _print_figures("revised in a later table", model.revised)
    _print_measured(model.measured)
    for index, weights in enumerate(model.weights):
        _print_title("weights" if index == 0 else "other weights", weights.note or "")
        _print_lines({"URL": weights.url, "SHA-256": f"{weights.sha256_prefix}..."})
    predict, evaluate, export = model.commands()
    _print_commands("predict with it, and evaluate it; the first downloads the weights", (predict, evaluate))
    _print_commands("write a model file, to give away; needs the extra export", (export,))


def _print_built_in(model: BuiltIn) -> None:
    spec = model.spec
    _print_title(model.name, "built in")
    side = spec.input_short_side
    _print_lines(
        {
            "network": " ".join([spec.architecture, *_options(spec.options)]),
            "classes": f"{spec.labels.num_classes}: {', '.join(spec.labels.names)}",
            "input size": f"shorter side {side} pixels" if side else "the image's own",
            **_quantization(spec),
            "trained on": spec.training_data or "-",
            "source": spec.source or "-",
            "license": spec.license or "-",
            "checksum": spec.checksum or "-",
            "recipe": model.entry.recipe,
            "page": model.entry.page,
        }
    )
    _print_measured(model.measurements)
    _print_commands("run it", (f"rapidseg predict photo.jpg --model {model.name}",))


def _quantization(spec: ModelSpec) -> dict[str, str]:
    """Returns the loss of accuracy of an INT8 model; nothing for other models."""
    made = spec.quantization
    if made is None:
        return {}
    loss = 100 * (made.mean_iou_float32 - made.mean_iou)
    return {
        "INT8": f"{loss:.2f} points of mIoU lost on {made.dataset} {made.validation_split}; same class as float32 at "
        f"{made.agreement:.1%} of pixels; fallback layers: {', '.join(made.fallback_layers) or 'none'}"
    }


def _print_recipe(recipe: RecipeDetails) -> None:
    print_line(recipe.text)
    if recipe.published:
        print_line(f"trains the published model {', '.join(recipe.published)}")
    if recipe.command == "pretrain":
        _print_commands("run it", (f"rapidseg pretrain {recipe.name} --root DIR --output runs/first",))
        return
    words = f"{recipe.name} data.root=DIR" if recipe.name != "own-data" else "my-streets.yaml"
    _print_commands("run it", (f"rapidseg train {words} --output runs/first",))


def _print_architecture(architecture: ArchitectureDetails) -> None:
    """Prints parameters and multiply-accumulates of each variant, and where the variants differ."""
    entry, size = architecture.entry, format_size(architecture.size_hw)
    _print_title(entry.name, entry.paper)
    print_line(f"{architecture.num_classes} classes; multiply-accumulates for one {size} image")
    table = _table("", "variant")
    for heading in ("parameters", "in training", "multiply-accumulates"):
        table.add_column(heading, justify="right")
    for variant, figures in architecture.variants.items():
        table.add_row(
            variant,
            f"{figures['parameters']:,}",
            f"{figures['parameters_with_aux_heads']:,}",
            f"{figures['multiply_accumulates'] / 1e9:.2f} G",
        )
    console.print(table)
    for variant, figures in architecture.variants.items():
        if figures["differs_in"]:
            differs = ", ".join(_options(figures["differs_in"]))
            print_line(f"{variant} differs in {differs}")
    if entry.reported:
        console.print(_reported_table(entry.reported))
        for source in dict.fromkeys(reported.source for reported in entry.reported):
            print_line(f"source: {source}")


def _reported_table(figures: Iterable[Reported]) -> Table:
    table = _table("Figures of the authors", "method", "data")
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
    """Returns a table whose first column, a name, is never cut or wrapped."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index == 0, overflow="fold")
    return table


def _figures(figures: Figures) -> tuple[str | None, str | None, str | None, str | None]:
    """Returns memory, frames/s, mIoU and multi-scale mIoU with flip as text; None: not published."""

    def text(value: float | None, form: str) -> str | None:
        return None if value is None else format(value, form)

    return (
        text(figures.memory_gb, "g"),
        text(figures.frames_per_second, ".2f"),
        text(figures.mean_iou_percent, ".2f"),
        text(figures.mean_iou_ms_flip_percent, ".2f"),
    )


def _measured(measurement: MeasuredScore) -> str:
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
            "memory per GPU": f"{memory} GB" if memory else NOT_PUBLISHED,
            "frames/s": rate or NOT_PUBLISHED,
            "mIoU": f"{mean_iou} %" if mean_iou else NOT_PUBLISHED,
            "mIoU, ms+flip": f"{ms_flip} %" if ms_flip else NOT_PUBLISHED,
            "source": figures.source,
        }
    )


def _print_measured(measurements: Sequence[MeasuredScore]) -> None:
    if not measurements:
        _print_title("measured with RapidSeg", "no figures yet")
    for measurement in measurements:
        _print_title("measured with RapidSeg", _measured(measurement))
        _print_lines({"command": measurement.command, "data": measurement.data, "machine": measurement.machine})


def _print_title(title: str, rest: str) -> None:
    console.print(f"[bold]{title}[/]" + (f": {rest}" if rest else ""), highlight=False, soft_wrap=True)


def _print_lines(lines: Mapping[str, str]) -> None:
    """Prints names and their values; long lines are not wrapped, so that URLs can be copied."""
    width = max(map(len, lines))
    for name, text in lines.items():
        print_line(f"  {name:{width}}  {text}")


def _print_commands(title: str, commands: Iterable[str]) -> None:
    _print_title(title, "")
    for command in commands:
        print_line(f"  {command}")


def _options(options: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in options.items()]
