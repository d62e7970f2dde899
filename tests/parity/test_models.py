"""Equality with the published implementations, by the checks that stand beside their reference outputs."""

import pytest


@pytest.mark.parametrize(
    "fixture",
    [
        "openmmlab/deeplabv3_r50-d8",
        "openmmlab/encnet_r50-d8",
        "openmmlab/fast_scnn",
        "openmmlab/fastfcn_jpu_aspp",
        "openmmlab/fastfcn_jpu_enc",
        "openmmlab/fastfcn_jpu_psp",
        "openmmlab/pspnet_r50-d8",
        "standalone/fastfcn_deeplab_jpu",
        "standalone/fastfcn_encnet_jpu",
        "standalone/fastfcn_encnet_jpu_x",
        "standalone/fastfcn_fcn_jpu",
        "standalone/fastfcn_psp_jpu",
        "standalone/leftthomas_fast_scnn",
        "standalone/tramac_fast_scnn",
    ],
)
def test_a_network_computes_what_the_published_code_computes(check, parity_dir, fixture):
    assert check.check_checkpoint(parity_dir / f"{fixture}.json", parity_dir) == []
