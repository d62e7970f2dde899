"""Makes the built-in model of trained weights: `python scripts/package_weights.py runs/camvid/best.safetensors`.

Adds license and source to the specification, exports with all its checks, and writes
src/rapidseg/assets/fast-scnn-camvid.onnx, and beside it what the self test of `rapidseg doctor` expects of it. With
`--input-size` and the JSON that `rapidseg eval --output` wrote at that size, the specification states that size and
those scores in place of training's.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rapidseg.core.files import write_text
from rapidseg.core.spec import Score
from rapidseg.diagnosis.self_test import EXPECTED, expected_document
from rapidseg.exporting import export_onnx
from rapidseg.models import load_model
from rapidseg.runtime import load
from rapidseg.runtime.model_file import ASSETS

LICENSE = (
    "Weights trained on CamVid, whose terms (CC BY-NC 4.0) allow personal and research use; "
    "see docs/models/fast-scnn-camvid.md"
)
SOURCE = "trained with the recipe camvid/fast-scnn of RapidSeg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--input-size", type=int)
    parser.add_argument("--scores", type=Path, help="JSON of rapidseg eval at that size")
    arguments = parser.parse_args()
    if (arguments.input_size is None) != (arguments.scores is None):
        parser.error("give --input-size and --scores together")
    model = load_model(arguments.weights)
    update: dict[str, object] = {"license": LICENSE, "source": SOURCE, "trained_on": model.spec.training_splits}
    if arguments.scores is not None:
        update |= {"input_short_side": arguments.input_size, "scores": (read_score(arguments),)}
    report = export_onnx(model, model.spec.model_copy(update=update), ASSETS / "fast-scnn-camvid.onnx")
    segmenter = load(report.path, precision="float32")
    write_text(EXPECTED, json.dumps(expected_document(segmenter), indent=2) + "\n")
    print(f"wrote {report.path}, {report.size_bytes / 1e6:.1f} MB; {report.spec.scores}")


def read_score(arguments: argparse.Namespace) -> Score:
    evaluation = json.loads(arguments.scores.read_text(encoding="utf-8"))
    if evaluation["input_size"] != arguments.input_size:
        raise SystemExit(f"{arguments.scores} was measured at {evaluation['input_size']}, not {arguments.input_size}")
    return Score(
        dataset=evaluation["dataset"],
        split=evaluation["split"],
        mean_iou=evaluation["mean_iou"],
        mean_accuracy=evaluation["mean_accuracy"],
        pixel_accuracy=evaluation["pixel_accuracy"],
        protocol=f"whole image, single scale, short side resized to {arguments.input_size} pixels",
    )


if __name__ == "__main__":
    main()
