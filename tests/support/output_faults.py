"""Commands that write files, run on full disks and in closed folders, and checks of the files that they leave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rapidseg.core.labels import CITYSCAPES
from rapidseg.imaging import read_image
from rapidseg.models import create_model, load_model, save_model
from rapidseg.runtime.model_file import read_spec
from tests.support.data_folders import write_camvid, write_image
from tests.support.polygon_files import street, write_polygons
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

ROOT = Path(__file__).resolve().parents[2]

# Root may write everywhere; without these rights it is a user like others, who owns the files of the tests.
WITHOUT_RIGHTS = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    output: str
    errors: str

    def check_message(self) -> str:
        """Checks that there is one message and no traceback; returns it."""
        assert "Traceback" not in self.errors, self.errors
        assert "Exception ignored" not in self.errors, self.errors
        messages = [line for line in self.errors.splitlines() if line.startswith("error: ")]
        assert len(messages) == 1, self.errors
        return messages[0]


class Workshop:
    """A folder with inputs for every command, in which nothing is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_tiny_onnx(folder / "tiny.onnx", tiny_spec())
        for index in range(3):
            write_image(folder / "photos" / f"{index}.png", (40, 60), seed=index)
        write_camvid(folder / "camvid")
        torch.manual_seed(0)
        save_model(create_model("fast-scnn", labels=CITYSCAPES, width=0.25).eval(), folder / "weights.safetensors")
        for number in range(2):
            write_polygons(folder / "cityscapes", street(number), f"ulm/ulm_00000{number}_000019")

    def words(self, command: str, output: Path) -> list[str]:
        """Returns the words of a command that writes into the folder `output`."""
        where, out = str(self.folder), str(output)
        if command == "prepare":
            shutil.copytree(f"{where}/cityscapes", output, dirs_exist_ok=True)
        camvid = ["eval", f"{where}/tiny.onnx", "--data", "camvid", "--root", f"{where}/camvid"]
        return {
            "predict": ["predict", f"{where}/photos", "--model", f"{where}/tiny.onnx", "-o", out],
            "eval": [*camvid, "-o", f"{out}/e.json", "--html", f"{out}/e.html", "--save", f"{out}/saved"],
            "export": ["export", f"{where}/weights.safetensors", "-o", f"{out}/model.onnx"],
            "import": ["import", f"{where}/weights.safetensors", "-o", f"{out}/model.safetensors"],
            "synth": ["data", "synth", out, "--images", "2", "--image-size", "64x128", "--workers", "1"],
            "prepare": ["data", "prepare", "cityscapes", out, "--workers", "1"],
        }[command]


def run(
    words: list[str],
    *,
    before: tuple[str, ...] = (),
    redirect: str = "",
    environment: Mapping[str, str | None] = {},
    folder: Path | None = None,
    prepare: Callable[[], Any] | None = None,
) -> Outcome:
    """Runs a command in a process of its own.

    Args:
        words: of `rapidseg`.
        before: words before the command, such as those of `setpriv`.
        redirect: shell syntax behind the command, such as `>&-`.
        environment: variables that are set, or removed with None.
        folder: the current folder.
        prepare: called in the new process before the command begins.
    """
    variables = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **environment}
    command = [*before, sys.executable, "-m", "rapidseg", *words]
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {redirect}', "bash", *command] if redirect else command,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={name: value for name, value in variables.items() if value is not None},
        cwd=folder,
        preexec_fn=prepare,
        timeout=600,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def check_files(folder: Path) -> set[str]:
    """Checks that every file below a folder is whole, and that no temporary file is left; returns their names."""
    names = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "filling"):
        assert ".part" not in path.name, path
        if path.suffix in (".png", ".jpg"):
            assert np.size(read_image(path))
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".html":
            assert path.read_text("utf-8").rstrip().endswith("</html>")
        elif path.suffix == ".onnx":
            read_spec(path)
        elif path.suffix == ".safetensors":
            load_model(path)
        else:
            raise AssertionError(f"unexpected file {path}")
        names.add(path.relative_to(folder).as_posix())
    return names
