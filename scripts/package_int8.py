"""Makes the INT8 twin of the built-in model: `python scripts/package_int8.py path/to/camvid`.

Calibrates on CamVid's `train`, measures the drop on `val`, both at the model's own input size, scores the result on
`test`, and writes src/rapidseg/assets/fast-scnn-camvid-int8.onnx. The model learned from `val` too, so the figures on
`test` are those that the file states as its scores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import onnx
from onnx import helper

from rapidseg.core.files import atomic_path
from rapidseg.core.spec import SPEC_KEY
from rapidseg.data import open_dataset
from rapidseg.exporting import quantize_onnx
from rapidseg.exporting.int8.int8_scoring import Scorer
from rapidseg.exporting.network_images import NetworkImages
from rapidseg.runtime.content_check import write_checksum
from rapidseg.runtime.model_file import BUILT_IN_MODELS, find_model, read_spec

FLOAT32, INT8 = BUILT_IN_MODELS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", help="folder of CamVid")
    camvid = parser.parse_args().camvid
    source = find_model(FLOAT32)
    size = read_spec(source).input_short_side
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        train, val, test = (open_dataset("camvid", camvid, split) for split in ("train", "val", "test"))
        report = quantize_onnx(source, made, train, val, input_size=size)
        if report.size_bytes >= report.float32_size_bytes:
            raise SystemExit(f"INT8 takes {report.size_bytes} bytes, no less than float32: not packaged")
        score = Scorer(NetworkImages(report.spec, test, size))(made, "test")
        spec = report.spec.model_copy(update={"scores": (score,)})
        graph = onnx.load(made)
    helper.set_model_props(graph, {SPEC_KEY: spec.to_json()})
    with atomic_path(find_model(INT8)) as temporary:
        onnx.save(graph, temporary)
        write_checksum(temporary)
    print(f"wrote {find_model(INT8)}, {report.size_bytes / 1e6:.1f} MB; {spec.quantization}; {spec.scores}")


if __name__ == "__main__":
    main()
