"""`list_models` and `show_model`: architectures, recipes and models with their scores and sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.report import Report
from rapidseg.core.sizes import SizeHW, SizeLike, to_size
from rapidseg.core.wording import count_of
from rapidseg.recipes import PretrainingSummary, RecipeSummary
from rapidseg.workflows.arguments import RULES, TEXT, checked, integer

if TYPE_CHECKING:
    from rapidseg.core.spec import ModelSpec
    from rapidseg.zoo import ArchitectureEntry, BuiltInModel, MeasuredScore, PublishedModel

CITYSCAPES_SIZE_HW = (1024, 2048)


@dataclass(frozen=True, eq=False)
class BuiltIn(Report):
    """A model file in the package.

    Attributes:
        entry: how its scores were measured, and where it is described.
        spec: what the file says about itself.
    """

    entry: BuiltInModel
    spec: ModelSpec

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def measurements(self) -> tuple[MeasuredScore, ...]:
        """The scores in the file, with command, data and machine."""
        return self.entry.measurements(self.spec)

    def headline(self) -> str:
        scores = [f"mIoU {score.mean_iou:.3f} on {score.dataset} {score.split}" for score in self.spec.scores]
        return f"{self.name}: {', '.join([self.spec.architecture, *scores])}"

    def summary(self) -> dict[str, Any]:
        """Returns the model as the list shows it, for JSON."""
        return {
            "name": self.name,
            "architecture": self.spec.architecture,
            "recipe": self.entry.recipe,
            "page": self.entry.page,
            "measured": [measurement.model_dump(mode="json") for measurement in self.measurements],
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {**self.summary(), "spec": self.spec.model_dump(mode="json")}


@dataclass(frozen=True, eq=False)
class Published(Report):
    """A published model, whose weights `rapidseg import` downloads."""

    entry: PublishedModel

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def needs_pytorch(self) -> bool:
        """Whether its network has options for which no graph comes with the package."""
        from rapidseg.importing.template import has_template, variant_options

        options = variant_options()[self.entry.architecture][self.entry.variant]
        return not has_template(self.entry.architecture, {**options, **self.entry.options})

    def headline(self) -> str:
        percent = self.entry.published.mean_iou_percent
        score = "" if percent is None else f"mIoU {percent / 100:.3f} on {self.entry.dataset} val, as published"
        return f"{self.name}: {score or self.entry.dataset}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON, with the commands that download, export and score the model."""
        document = self.entry.model_dump(mode="json")
        document["weights"] = [
            {**weights.model_dump(mode="json"), "sha256_prefix": weights.sha256_prefix}
            for weights in self.entry.weights
        ]
        return {
            **document,
            "license": self.entry.terms,
            "needs_pytorch": self.needs_pytorch,
            "commands": list(self.entry.commands()),
        }


@dataclass(frozen=True, eq=False)
class RecipeDetails(Report):
    """A recipe.

    Attributes:
        summary: its network, data, iterations and batch size.
        text: YAML with every value that it states or inherits.
        published: names of the published models that it trains.
    """

    summary: RecipeSummary | PretrainingSummary
    text: str
    published: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.summary.name

    @property
    def command(self) -> str:
        """The command that runs it: `train` or `pretrain`."""
        return "train" if isinstance(self.summary, RecipeSummary) else "pretrain"

    def headline(self) -> str:
        summary = self.summary
        if not isinstance(summary, RecipeSummary):
            return f"{self.name}: {summary.method} with {summary.network}, {count_of(summary.epochs, 'epoch')}"
        return (
            f"{self.name}: {summary.architecture} on {summary.dataset}, {count_of(summary.iterations, 'iteration')}, "
            f"batch size {summary.batch_size}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {**vars(self.summary), "published": list(self.published), "text": self.text}


@dataclass(frozen=True, eq=False)
class ArchitectureDetails(Report):
    """An architecture with the cost of its variants.

    Attributes:
        entry: its paper, variants and the scores of its authors.
        num_classes: number of classes for which parameters were counted.
        size_hw: input size for which multiply-accumulates were counted.
        options: the options of the first variant, by name.
        variants: for each variant `parameters`, `parameters_with_aux_heads`, `multiply_accumulates` and `differs_in`,
            the options in which it differs from the first.
    """

    entry: ArchitectureEntry
    num_classes: int
    size_hw: SizeHW
    options: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        return self.entry.name

    def headline(self) -> str:
        return f"{self.name}: variants {', '.join(self.variants)}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            **self.entry.model_dump(mode="json"),
            "num_classes": self.num_classes,
            "size_hw": list(self.size_hw),
            "options": dict(self.options),
            "variants": {name: dict(figures) for name, figures in self.variants.items()},
        }


ModelDetails = BuiltIn | Published | RecipeDetails | ArchitectureDetails


@dataclass(frozen=True, eq=False)
class ModelList(Report):
    """Everything that can be trained or run by its name.

    Attributes:
        architectures: networks that can be built.
        built_in: models in the package, which `rapidseg.load` opens at once.
        published: models of others, whose weights are downloaded.
        recipes: complete training runs.
        pretraining: complete pre-training runs.
    """

    architectures: tuple[ArchitectureEntry, ...]
    built_in: tuple[BuiltIn, ...]
    published: tuple[Published, ...]
    recipes: tuple[RecipeSummary, ...]
    pretraining: tuple[PretrainingSummary, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `rapidseg.load` takes: built-in models, then published models."""
        return (*(model.name for model in self.built_in), *(model.name for model in self.published))

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "architectures": [entry.model_dump(mode="json") for entry in self.architectures],
            "built_in": [model.summary() for model in self.built_in],
            "published": [model.to_dict() for model in self.published],
            "recipes": [vars(recipe) for recipe in self.recipes],
            "pretraining": [vars(recipe) for recipe in self.pretraining],
        }

    def headline(self) -> str:
        counts = (
            f"{len(self.built_in)} built-in, {len(self.published)} published",
            count_of(self.recipes, "recipe"),
            count_of(self.architectures, "architecture"),
        )
        return f"{', '.join(counts)}; print it for their names"

    def __str__(self) -> str:
        """Returns a line per model with its score, and the names of recipes and architectures."""
        lines = ["built-in models:"]
        for model in self.built_in:
            lines += [
                f"  {model.name:34} mIoU {score.mean_iou:.3f} on {score.dataset} {score.split}"
                for score in model.spec.scores
            ] or [f"  {model.name}"]
        lines.append("published models (downloaded on first use):")
        for published in self.published:
            percent = published.entry.published.mean_iou_percent
            mean_iou = (
                "" if percent is None else f"mIoU {percent / 100:.3f} on {published.entry.dataset} val, as published"
            )
            lines.append(f"  {published.name:34} {mean_iou}".rstrip())
        lines.append(f"recipes: {', '.join(recipe.name for recipe in self.recipes)}")
        lines.append(f"pre-training recipes: {', '.join(recipe.name for recipe in self.pretraining)}")
        lines.append(f"architectures: {', '.join(entry.name for entry in self.architectures)}")
        return "\n".join(lines)


def list_models() -> ModelList:
    """Returns every architecture, recipe and model. PyTorch is not needed."""
    from rapidseg import zoo
    from rapidseg.recipes import recipe_names, summarize_pretraining, summarize_recipe

    return ModelList(
        architectures=tuple(zoo.architectures().values()),
        built_in=tuple(_built_in(name) for name in zoo.built_in_models()),
        published=tuple(Published(entry) for entry in zoo.published_models().values()),
        recipes=tuple(summarize_recipe(name) for name in recipe_names()),
        pretraining=tuple(summarize_pretraining(name) for name in recipe_names("pretraining")),
    )


@checked(name=TEXT, num_classes=integer(2, 255), input_size=RULES["image_size"])
def show_model(name: str, *, num_classes: int = 19, input_size: SizeLike = CITYSCAPES_SIZE_HW) -> ModelDetails:
    """Returns everything that is known about an architecture, a recipe or a model.

    Args:
        name: its name, as `list_models` shows it.
        num_classes: for an architecture: number of classes.
        input_size: for an architecture: (height, width), or text `HxW`, for which multiply-accumulates are counted.

    Raises:
        ConfigError: the name is unknown.
        ModuleNotFoundError: for an architecture: PyTorch is not installed.
    """
    from rapidseg import zoo
    from rapidseg.recipes import current_name, recipe_names, recipe_text, summarize_pretraining, summarize_recipe

    if name in zoo.architectures():
        return _architecture(name, num_classes, to_size(input_size, "input_size"))
    if name in zoo.published_models():
        return Published(zoo.find(name))
    if name in zoo.built_in_models():
        return _built_in(name)
    recipe = current_name(name)
    if recipe in recipe_names():
        trained = tuple(model.name for model in zoo.published_models().values() if model.recipe == recipe)
        return RecipeDetails(summarize_recipe(recipe), recipe_text(recipe), trained)
    if name in recipe_names("pretraining"):
        return RecipeDetails(summarize_pretraining(name), recipe_text(name, "pretraining"), ())
    known = (*zoo.architectures(), *zoo.built_in_models(), *zoo.published_models(), *recipe_names())
    known = (*known, *recipe_names("pretraining"))
    raise ConfigError(
        f"unknown architecture, model or recipe {name!r}{nearest_hint(name, known)}; `rapidseg models` lists them"
    )


def _built_in(name: str) -> BuiltIn:
    from rapidseg import zoo
    from rapidseg.runtime.model_file import find_model, read_spec

    return BuiltIn(zoo.built_in_models()[name], read_spec(find_model(name)))


def _architecture(name: str, num_classes: int, size_hw: SizeHW) -> ArchitectureDetails:
    """Counts parameters and multiply-accumulates of each variant."""
    import torch

    from rapidseg import zoo
    from rapidseg.models import count_macs, count_parameters, create_model, get_architecture

    architecture = get_architecture(name)
    default = next(iter(architecture.variants.values())).model_dump(mode="json")
    variants: dict[str, dict[str, Any]] = {}
    for variant, options in architecture.variants.items():
        with torch.device("meta"):  # shapes are enough to count
            model = create_model(name, num_classes, variant=variant)
        variants[variant] = {
            "parameters": count_parameters(model),
            "parameters_with_aux_heads": count_parameters(model, aux_heads=True),
            "multiply_accumulates": count_macs(model, size_hw),
            "differs_in": {
                key: value for key, value in options.model_dump(mode="json").items() if value != default[key]
            },
        }
    return ArchitectureDetails(zoo.architectures()[name], num_classes, size_hw, default, variants)
