"""Bringing configurations to the start: an image of each size, and a process for each that can run here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.process import MeasuringProcess
from rapidseg.core.errors import EngineError
from rapidseg.imaging import read_image, resize_image, write_image

Progress = Callable[[str, int, int], None]  # what is done, steps done, steps of all


def image_of_size(image: Path, size_hw: tuple[int, int], folder: Path) -> Path:
    """Returns `image` itself if it has the size, else a JPEG of that size in `folder`.

    Raises:
        ImageError: it cannot be read.
    """
    pixels = read_image(image)
    if pixels.shape[:2] == size_hw:
        return image
    path = folder / f"{image.stem}-{size_hw[0]}x{size_hw[1]}.jpg"
    write_image(path, resize_image(pixels, size_hw))
    return path


def open_all(
    configurations: list[Configuration],
    images: Mapping[tuple[int, int], Path],
    stack: ExitStack,
    *,
    scratch: Path | None,
    progress: Progress,
) -> tuple[dict[Configuration, MeasuringProcess], list[tuple[Configuration, str]]]:
    """Starts a process for each configuration that can run here.

    Args:
        configurations: what to start.
        images: a file of each size.
        stack: ends the processes.
        scratch: a folder to write to, where reading, drawing and writing are measured, too.
        progress: called before each start.

    Returns:
        The processes, and the configurations that cannot run, with the engine's reason.

    Raises:
        EngineError: none can run.
    """
    processes: dict[Configuration, MeasuringProcess] = {}
    left_out: list[tuple[Configuration, str]] = []
    refused: dict[tuple[str, str, str], str] = {}  # what an engine cannot do at one size it cannot do at any
    for done, configuration in enumerate(configurations):
        progress("opening", done, len(configurations))
        way = (configuration.model, configuration.engine, configuration.precision)
        if way not in refused:
            image = images[configuration.image_size_hw]
            folder = None if scratch is None else str(scratch / str(done))
            try:
                process = MeasuringProcess(
                    "segmenting", configuration=configuration.to_arguments(), image=str(image), scratch=folder
                )
            except EngineError as error:
                refused[way] = str(error)
            else:
                processes[configuration] = stack.enter_context(process)
                continue
        left_out.append((configuration, refused[way]))
    if not processes:
        reasons = "; ".join(dict.fromkeys(refused.values()))
        raise EngineError(f"nothing that was asked for can run here: {reasons}")
    return processes, left_out
