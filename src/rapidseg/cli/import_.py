"""`rapidseg import`: a published checkpoint to a model file of this project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli.console import console, print_json
from rapidseg.cli.options import JsonOption


def register(parent: typer.Typer) -> None:
    """Adds `import`."""
    parent.command("import")(import_checkpoint)


def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of OpenMMLab, Tramac or leftthomas (.pth).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, ending in .safetensors.")],
    json: JsonOption = False,
) -> None:
    """Reads a published checkpoint, tells its source by its tensor names, and writes it as safetensors."""
    from rapidseg.core.errors import InputError
    from rapidseg.importing import load_checkpoint
    from rapidseg.models import count_parameters, save_model

    if output.suffix != ".safetensors":
        raise InputError(f"the output must end in .safetensors, not {output.name!r}")
    model = load_checkpoint(checkpoint)
    spec = save_model(model, output)
    if json:
        print_json({"file": output, "parameters": count_parameters(model), "spec": spec.model_dump(mode="json")})
        return
    classes = f"{spec.labels.num_classes} classes ({', '.join(spec.labels.names[:3])}, ...)"
    console.print(f"{spec.architecture} of {spec.source}, {classes}", highlight=False)
    console.print(f"wrote {output}", highlight=False, soft_wrap=True)
