"""Equality with the published implementations, by the checks that stand beside their reference outputs."""

import pytest

from tests.support.published import PARITY_FIXTURES


@pytest.mark.parametrize("fixture", PARITY_FIXTURES)
def test_a_network_computes_what_the_published_code_computes(check, parity_dir, fixture):
    assert check.check_checkpoint(parity_dir / f"{fixture}.json", parity_dir) == []
