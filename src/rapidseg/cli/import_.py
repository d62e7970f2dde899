"""`rapidseg import`: a published checkpoint to a model file of this project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rapidseg.cli.console import console, download_progress, errors, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption, parse_options


def register(parent: typer.Typer) -> None:
    """Adds `import`."""
    parent.command(
        "import",
        epilog=examples(
            "rapidseg import fast-scnn-cityscapes -o fast-scnn.safetensors",
            "rapidseg import model.pth -o model.safetensors --labels cityscapes",
        ),
    )(import_checkpoint)


def import_checkpoint(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_URL",
            help="Published checkpoint, its address, or the name of a published model.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, ending in .safetensors.", show_default=False)
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help="The classes: cityscapes, camvid, a YAML file that describes the data, or names with commas between.",
            show_default="those that the file names",
        ),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            help="What the file's SHA-256 begins with, 8 to 64 hex digits.",
            show_default="for an address, the 8 digits at the end of the file's name",
        ),
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option(
            "--ema/--no-ema",
            help="Of two copies of the weights, take the moving average, or the other.",
            show_default="the moving average if there is one",
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="KEY=VALUE",
            help="An option of the network that its tensors do not tell, such as output_stride=32.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read a published checkpoint, tell its source by its tensor names, and write it as safetensors.

    An address is downloaded once and kept; a download that broke off is gone on with.
    """
    from rapidseg.core.errors import InputError
    from rapidseg.importing import load_checkpoint
    from rapidseg.models import count_parameters, save_model

    if output.suffix != ".safetensors":
        raise InputError(f"the output must end in .safetensors, not {output.name!r}")
    notes: list[str] = []
    with download_progress() as report:
        model = load_checkpoint(
            checkpoint,
            labels=labels,
            sha256=sha256,
            ema=ema,
            options=parse_options(options or ()),
            progress=report,
            note=notes.append,
        )
    spec = save_model(model, output)
    if json:
        document = {"file": output, "parameters": count_parameters(model), "notes": notes}
        print_json({**document, "spec": spec.model_dump(mode="json")})
        return
    for text in notes:
        errors.print(f"note: {escape(text)}", highlight=False, soft_wrap=True)
    names = ", ".join(spec.labels.names[:3]) + (", ..." if spec.labels.num_classes > 3 else "")
    console.print(
        f"{spec.architecture} of {spec.source}, {spec.labels.num_classes} classes ({escape(names)}), "
        f"{count_parameters(model) / 1e6:.2f} M parameters",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"wrote {escape(str(output))}", highlight=False, soft_wrap=True)
