"""`rapidseg doctor`: what is here, what is taken of it and why, and whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, errors, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption

if TYPE_CHECKING:
    from rapidseg.diagnosis import Diagnosis, Machine


def register(app: typer.Typer) -> None:
    """Adds `doctor`."""
    app.command(epilog=examples("rapidseg doctor", "rapidseg doctor mine.onnx --json"))(doctor)


def doctor(
    model: Annotated[
        str | None,
        typer.Argument(help="Model whose engine and precision are asked for.", show_default="the built-in Fast-SCNN"),
    ] = None,
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", help="First delete what was compiled for this machine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show versions, machine, engines and caches, what `load` takes and why, and try the built-in model.

    Exit status: 0, prediction works; 1, it does not.
    """
    from rapidseg.diagnosis import diagnose
    from rapidseg.system.caches import clear_caches

    if clear_cache:
        errors.print(f"deleted {clear_caches() / 1e6:.1f} MB of compiled code and models", highlight=False)
    diagnosis = diagnose(model)
    if as_json:
        print_json(diagnosis.to_dict())
    else:
        _print(diagnosis)
    if not diagnosis.ok:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in _rows(diagnosis):
        table.add_row(escape(name), escape(text))
    console.print(table)
    if diagnosis.ok:
        console.print("[bold green]ok:[/] prediction works", highlight=False)
    else:
        console.print("[bold red]not ok:[/] prediction does not work as it should; see above", highlight=False)


def _rows(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    versions = dict(diagnosis.versions)
    installed = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    rows = [("versions", installed), ("machine", _machine(diagnosis.machine)), ("GPUs", _gpus(diagnosis))]
    for engine in diagnosis.engines:
        if engine.version is None:
            rows.append((engine.name, "not installed"))
            continue
        devices = ", ".join(
            f"{name} ({': '.join((label, *filter(None, [', '.join(engine.capabilities.get(name, ()))])))})"
            if label != name
            else name
            for name, label in engine.devices.items()
        )
        rows.append((engine.name, f"{engine.version}: {devices}"))
    caches = diagnosis.caches
    held = ", ".join(f"{cache.name} {cache.files} files, {cache.size_bytes / 1e6:.1f} MB" for cache in caches.held)
    where = "nowhere to keep anything" if caches.folder is None else str(caches.folder)
    rows.append(("cache", f"{where}{'' if caches.writable else ' (cannot be written)'}: {held or 'empty'}"))
    for extra in diagnosis.extras:
        state = f"lacks {', '.join(extra.missing)}; {extra.command}" if extra.missing else "complete"
        rows.append((f"extra {extra.name}", state))
    chosen = diagnosis.chosen
    if isinstance(chosen, str):
        rows.append(("load", f"fails: {chosen}"))
    else:
        rows.append(
            ("load", f"takes {chosen.engine}, {chosen.precision}, {chosen.device} for {chosen.model}: {chosen.choice}")
        )
    test = diagnosis.self_test
    if isinstance(test, str):
        rows.append(("self test", f"fails: {test}"))
    else:
        stages = ", ".join(f"{stage.replace('_', ' ')} {value:.1f}" for stage, value in test.timings_ms.items())
        rows += [("self test", finding) for finding in test.findings]
        rows.append(("", f"first class map after {test.first_ms:.0f} ms; then, in ms: {stages}"))
    return rows


def _machine(machine: Machine) -> str:
    memory = "" if machine.memory_bytes is None else f", {machine.memory_bytes / 2**30:.1f} GiB"
    quota = "" if machine.cpu_quota is None else f" (time of {machine.cpu_quota:g} granted)"
    features = ", ".join(machine.features) or "none of the instruction sets that networks profit from"
    return f"{machine.cpu}, {machine.cpus} CPUs usable{quota}{memory}, {machine.system}; {features}"


def _gpus(diagnosis: Diagnosis) -> str:
    driver, torch = diagnosis.gpus["driver"], diagnosis.gpus["torch"]
    seen = ", ".join(f"{gpu['name']} ({gpu['memory']}, driver {gpu['driver']})" for gpu in driver) or "no NVIDIA GPU"
    unused = f"; not used: {diagnosis.gpus['obstacle']}" if diagnosis.gpus["obstacle"] else ""
    if torch is None:
        return f"{seen}; PyTorch is not installed{unused}"
    usable = ", ".join(torch["devices"]) or "none"
    return f"{seen}; PyTorch {torch['version']} can use {usable}{unused}"
