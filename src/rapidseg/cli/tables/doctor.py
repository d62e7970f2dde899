"""How `rapidseg doctor` prints a diagnosis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console

if TYPE_CHECKING:
    from rapidseg.diagnosis.engines import InstalledEngine
    from rapidseg.system.cache import CacheSummary
    from rapidseg.system.gpu import Gpus
    from rapidseg.system.machine import Machine
    from rapidseg.workflows.doctor import Diagnosis

Row = tuple[str, str]


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Prints one row per check, the problems with what to do about them, and the verdict."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in _rows(diagnosis):
        table.add_row(escape(name), escape(text))
    console.print(table)
    for problem in diagnosis.problems:
        style, label = ("red", "error") if problem.required else ("yellow", "warning")
        affected = f"; {', '.join(problem.affected)} cannot be imported without it" if problem.affected else ""
        text = escape(f"{problem.message}{affected}. To repair it, {problem.advice}")
        console.print(f"[bold {style}]{label}:[/] {text}", highlight=False, soft_wrap=True)
    if diagnosis.ok:
        console.print("[bold green]OK:[/] prediction works", highlight=False)
    elif not isinstance(diagnosis.chosen, str) and diagnosis.self_test_passed:
        console.print("[bold red]FAILED:[/] a required package is broken, though prediction works; see above")
    else:
        console.print("[bold red]FAILED:[/] prediction does not work as it should; see above", highlight=False)


def _rows(diagnosis: Diagnosis) -> Iterator[Row]:
    if diagnosis.cleared_bytes is not None:
        yield "cleared", f"{diagnosis.cleared_bytes / 1e6:.1f} MB of compiled code and models"
    versions = diagnosis.versions.items()
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions if version is not None)
    yield "machine", _machine(diagnosis.machine)
    yield "GPUs", _gpus(diagnosis.gpus)
    for engine in diagnosis.engines:
        yield engine.name, _engine(engine)
    yield "cache", _cache(diagnosis.cache)
    complete = ", ".join(extra.name for extra in diagnosis.extras if not extra.missing)
    yield "extras", f"complete: {complete or 'none'}"
    for index, (extra, packages) in enumerate(diagnosis.not_installed.items()):
        command = next(item.command for item in diagnosis.extras if item.name == extra)
        yield "" if index else "optional", f"not installed: {', '.join(packages)}; in the clone: {command}"
    yield from _selection(diagnosis)
    yield from _self_test(diagnosis)


def _machine(machine: Machine) -> str:
    memory = "" if machine.memory_bytes is None else f", {machine.memory_bytes / 2**30:.1f} GiB"
    quota = "" if machine.cpu_quota is None else f" (container quota: {machine.cpu_quota:g})"
    features = ", ".join(machine.features) or "no instruction set known that speeds up networks"
    return f"{machine.cpu}, {machine.cpus} usable CPUs{quota}{memory}, {machine.system}; {features}"


def _gpus(gpus: Gpus) -> str:
    if gpus.driver is None:
        listed = f"NVIDIA driver installed, GPUs not listed: {gpus.unlisted}"
    else:
        names = (f"{gpu.name} ({gpu.memory_bytes / 2**30:.0f} GiB, driver {gpu.driver})" for gpu in gpus.driver)
        listed = ", ".join(names) or "no NVIDIA GPU"
    unused = f"; not used: {gpus.obstacle}" if gpus.obstacle else ""
    if gpus.torch is None:
        return f"{listed}; PyTorch is not available{unused}"
    return f"{listed}; PyTorch {gpus.torch.version} can use: {', '.join(gpus.torch.devices) or 'none'}{unused}"


def _engine(engine: InstalledEngine) -> str:
    if engine.version is None:
        return "not installed"
    if engine.problem is not None:
        return f"{engine.version} does not work: {engine.problem}"
    devices = []
    for name, label in engine.devices.items():
        details = [label] if label != name else []
        if name in engine.capabilities:
            details.append(", ".join(engine.capabilities[name]))
        devices.append(f"{name} ({': '.join(details)})" if details else name)
    return f"{engine.version}: {', '.join(devices)}"


def _cache(cache: CacheSummary) -> str:
    folder = "no folder: the user has no home folder" if cache.folder is None else str(cache.folder)
    writable = "" if cache.writable else " (not writable)"
    content = ", ".join(f"{item.name} {item.files} files, {item.size_bytes / 1e6:.1f} MB" for item in cache.folders)
    return f"{folder}{writable}: {content or 'empty'}"


def _selection(diagnosis: Diagnosis) -> Iterator[Row]:
    chosen = diagnosis.chosen
    if isinstance(chosen, str):
        yield "load", f"failed: {chosen}"
    else:
        yield "load", f"uses {chosen.engine}, {chosen.precision}, {chosen.device} for {chosen.model}: {chosen.choice}"


def _self_test(diagnosis: Diagnosis) -> Iterator[Row]:
    test = diagnosis.self_test
    if isinstance(test, str):
        yield "self-test", f"failed: {test}"
        return
    yield "self-test", "passed" if test.passed else "failed"
    for finding in test.findings:
        yield "", finding
    stages = ", ".join(f"{stage.replace('_', ' ')} {value:.1f}" for stage, value in test.timings_ms.items())
    yield "", f"first class map after {test.first_ms:.0f} ms; then, in ms: {stages}"
