"""Makes the built-in model of trained weights: `python scripts/package_weights.py runs/camvid/best.safetensors`.

Adds licence and source to the specification, exports with all its checks, and writes
src/rapidseg/assets/fast-scnn-camvid.onnx.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rapidseg.exporting import export_onnx
from rapidseg.models import load_model
from rapidseg.runtime.model_file import ASSETS

LICENCE = (
    "Weights trained on CamVid, whose terms (CC BY-NC 4.0) allow personal and research use; "
    "see docs/models/fast-scnn-camvid.md"
)
SOURCE = "trained with the recipe fast-scnn_camvid of RapidSeg"


def main() -> None:
    model = load_model(Path(sys.argv[1]))
    spec = model.spec.model_copy(update={"licence": LICENCE, "source": SOURCE})
    report = export_onnx(model, spec, ASSETS / "fast-scnn-camvid.onnx")
    print(f"wrote {report.path}, {report.size_bytes / 1e6:.1f} MB; scores: {report.spec.scores}")


if __name__ == "__main__":
    main()
