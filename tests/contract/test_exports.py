"""Every architecture as one file that runs at any size, in each engine, with any batch."""

import pytest
import torch

from rapidseg.exporting import export_onnx
from rapidseg.exporting.verification import CHECK_SIZES, bearable_sizes
from rapidseg.models import create_model
from tests.contract.networks import NETWORKS, make_network

# One of each architecture, and all four heads and both necks. Tracing takes seconds each, so the rest is slow.
QUICK = ("fastfcn-wuhuikai", "fastfcn-jpu_x", "deeplabv3-openmmlab", "pspnet-openmmlab", "encnet-lateral")
OTHERS = tuple(case for case in NETWORKS if case not in QUICK and not case.startswith("fast-scnn"))

# Odd sides, the smallest ones, and one that every stride divides. The export's own checks compare each engine with
# PyTorch, with one image and with three, and raise where they differ.
SIZES = ((97, 161), (33, 32), (128, 64))


@pytest.mark.parametrize("case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)])
def test_one_file_runs_at_any_size_in_each_engine(case, tmp_path):
    model = make_network(case).eval()
    report = export_onnx(model, model.spec, tmp_path / "model.onnx", check_sizes=SIZES)
    assert len(report.checks) == len(SIZES) * 2 * 2
    assert report.spec.architecture == model.spec.architecture


def test_a_heavy_network_is_compared_at_the_sizes_that_take_no_minutes():
    with torch.device("meta"):
        light, heavy = create_model("fast-scnn", 19), create_model("deeplabv3", 19)
    assert bearable_sizes(light) == CHECK_SIZES
    assert bearable_sizes(heavy) == ((360, 480), (97, 161))
