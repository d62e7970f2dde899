"""The self-test: the built-in model on the built-in sample image, in about a second."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from rapidseg.core.errors import RapidSegError
from rapidseg.imaging import read_image
from rapidseg.runtime import Segmenter, load
from rapidseg.runtime.model_file import ASSETS, SAMPLE_IMAGE

EXPECTED = ASSETS / "self-test.json"  # written by scripts/package_weights.py

# A precision that `auto` selects keeps the class of 99.5 % of pixels, and other processors sum in another order.
MIN_PIXEL_AGREEMENT = 0.995
_MAX_DIFFERENCE = 1 - MIN_PIXEL_AGREEMENT  # of a class's share: it cannot change by more than the pixels that changed


@dataclass(frozen=True)
class SelfTest:
    """The result of the self-test.

    Attributes:
        passed: whether every comparison agrees.
        findings: one sentence per comparison.
        first_ms: milliseconds from the start to the first class map, loading and compiling included.
        timings_ms: milliseconds of each stage, once warm.
    """

    passed: bool
    findings: tuple[str, ...]
    first_ms: float
    timings_ms: dict[str, float]


def run_self_test() -> SelfTest:
    """Segments the built-in sample; compares the shares of the classes, and the class map with ONNX Runtime's.

    Raises:
        RapidSegError: prediction does not work at all.
    """
    start = time.perf_counter()
    segmenter = load()
    image = read_image(SAMPLE_IMAGE)
    result = segmenter(image)
    first_ms = 1e3 * (time.perf_counter() - start)
    warm = segmenter(image)
    checks = [_compare_shares(warm.class_shares(), segmenter)]
    if not np.array_equal(result.class_map, warm.class_map):
        checks.append((False, "a second run on the same image gave another class map"))
    if _onnxruntime_can_be_imported():
        checks.append(_compare_with_onnxruntime(image, warm.class_map))
    timings_ms = {stage: round(value, 3) for stage, value in warm.timings_ms.items()}
    return SelfTest(all(ok for ok, _ in checks), tuple(text for _, text in checks), round(first_ms, 1), timings_ms)


def expected_document(segmenter: Segmenter) -> dict[str, Any]:
    """Returns the content of `EXPECTED`: the checksum of the weights, and the share of pixels of each class.

    Args:
        segmenter: of the built-in model, in float32.
    """
    shares = segmenter(read_image(SAMPLE_IMAGE)).class_shares()
    return {
        "checksum": segmenter.spec.checksum,
        "class_shares": {name: round(share, 6) for name, share in shares.items()},
    }


def _onnxruntime_can_be_imported() -> bool:
    try:
        import onnxruntime  # noqa: F401
    except Exception:  # missing, or broken in one of many ways: `check_packages` reports that
        return False
    return True


def _compare_shares(shares: dict[str, float], segmenter: Segmenter) -> tuple[bool, str]:
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    if expected["checksum"] != segmenter.spec.checksum:
        return False, f"{EXPECTED.name} belongs to other weights than the built-in model; reinstall the package"
    differences = {name: abs(shares[name] - share) for name, share in expected["class_shares"].items()}
    worst = max(differences, key=lambda name: differences[name])
    text = (
        f"class shares on the sample image: largest difference {differences[worst]:.2%} of the pixels ({worst}), "
        f"allowed {_MAX_DIFFERENCE:.2%}"
    )
    return differences[worst] <= _MAX_DIFFERENCE, text


def _compare_with_onnxruntime(image: np.ndarray, class_map: np.ndarray) -> tuple[bool, str]:
    try:
        reference = load(engine="onnxruntime", precision="float32")(image).class_map
    except RapidSegError as error:
        return False, f"ONNX Runtime is installed but does not run the model: {error}"
    agreement = float(np.mean(reference == class_map))
    return (
        agreement >= MIN_PIXEL_AGREEMENT,
        f"{agreement:.2%} of the pixels have the same class as with ONNX Runtime in float32 "
        f"(threshold {MIN_PIXEL_AGREEMENT:.1%})",
    )
