"""Writes the tables of docs/zoo.md from the data files in src/rapidseg/zoo. The text around them is written by hand.

Each table is between `<!-- begin: NAME -->` and `<!-- end: NAME -->`. tests/unit/test_zoo_page.py fails if a table
differs from what this script writes.
"""

import re
from pathlib import Path

from rapidseg import zoo
from rapidseg.core.sizes import format_size
from rapidseg.runtime.model_file import find_model, read_spec

PAGE = Path(__file__).resolve().parents[1] / "docs" / "zoo.md"
NONE = "not published"


def number(value, form):
    return NONE if value is None else format(value, form)


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"


def figures(published):
    return (
        number(published.memory_gb, "g"),
        number(published.frames_per_second, ".2f"),
        number(published.mean_iou_percent, ".2f"),
        number(published.mean_iou_ms_flip_percent, ".2f"),
    )


def published_table():
    text = row("name", "method", "backbone", "crop", "iterations", "GPUs x images", "GB", "frames/s", "mIoU", "ms+flip")
    text += "|---|---|---|---|---|---|---|---|---|---|\n"
    for model in zoo.published_models().values():
        training = model.training
        text += row(
            f"`{model.name}`" + (" *" if model.revised else ""),
            model.method,
            model.backbone,
            format_size(training.crop_size),
            f"{training.iterations:,}",
            f"{training.num_gpus}x{training.images_per_gpu}",
            *figures(model.published),
        )
    return text


def revised_table():
    text = row("name", "GB", "frames/s", "mIoU", "ms+flip") + "|---|---|---|---|---|\n"
    for model in zoo.published_models().values():
        if model.revised:
            text += row(f"`{model.name}`", *figures(model.revised))
    return text


def files_table():
    text = row("name", "recipe", "configuration, figures", "weights (start of their SHA-256)") + "|---|---|---|---|\n"
    for model in zoo.published_models().values():
        sources = [("configuration", model.configuration), ("figures", model.published.source)]
        if model.revised:
            sources.append(("later figures", model.revised.source))
        weights = "; earlier: ".join(f"[{weights.sha256_prefix}]({weights.url})" for weights in model.weights)
        text += row(
            f"`{model.name}`", f"`{model.recipe}`", ", ".join(f"[{title}]({url})" for title, url in sources), weights
        )
    return text


def measured_table():
    text = row("name", "figure", "command", "data", "machine") + "|---|---|---|---|---|\n"
    measured = [(name, m) for name, entry in zoo.built_in_models().items() for m in entry.measurements(spec_of(name))]
    measured += [(name, m) for name, model in zoo.published_models().items() for m in model.measured]
    for name, m in measured:
        text += row(f"`{name}`", f"{m.quantity} {m.value:.4g}", f"`{m.command}`", m.data, m.machine)
    return text


def reported_table():
    text = row("method", "data", "mIoU", "frames/s", "source") + "|---|---|---|---|---|\n"
    for entry in zoo.architectures().values():
        for reported in entry.reported:
            text += row(
                reported.method,
                reported.data,
                number(reported.mean_iou_percent, ""),
                number(reported.frames_per_second, ""),
                f"[{reported.source.partition('://')[2]}]({reported.source})",
            )
    return text


def spec_of(name):
    return read_spec(find_model(name))


TABLES = {
    "published": published_table,
    "revised": revised_table,
    "files": files_table,
    "measured": measured_table,
    "reported": reported_table,
}


def fill(text):
    """Returns the page with every table as the data files have it."""
    for name, table in TABLES.items():
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{PAGE} must have the marks of the table {name!r} once")
        content = begin + table() + end
        text = re.sub(
            re.escape(begin) + ".*?" + re.escape(end), lambda _, content=content: content, text, flags=re.DOTALL
        )
    return text


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE}")
