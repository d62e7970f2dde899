"""A second's proof that prediction works here: the built-in model on the built-in sample."""

from __future__ import annotations

import importlib.util
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

# A precision of `auto` keeps the class of 99.5 % of pixels, and other processors order sums otherwise.
MIN_PIXEL_AGREEMENT = 0.995
_MAX_DIFFERENCE = (
    1 - MIN_PIXEL_AGREEMENT
)  # of a class's share: no share can change by more than the pixels that changed


@dataclass(frozen=True)
class SelfTest:
    """What came out.

    Attributes:
        passed: whether everything that could be compared agrees.
        findings: one sentence for each comparison.
        first_ms: milliseconds from nothing to the first class map, loading and compiling included.
        timings_ms: of the stages, once warm.
    """

    passed: bool
    findings: tuple[str, ...]
    first_ms: float
    timings_ms: dict[str, float]


def run_self_test() -> SelfTest:
    """Segments the built-in sample and compares shares of classes, and class maps with ONNX Runtime's.

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
    if importlib.util.find_spec("onnxruntime") is not None:
        checks.append(_compare_with_onnxruntime(image, warm.class_map))
    timings_ms = {stage: round(value, 3) for stage, value in warm.timings_ms.items()}
    return SelfTest(all(ok for ok, _ in checks), tuple(text for _, text in checks), round(first_ms, 1), timings_ms)


def expected_document(segmenter: Segmenter) -> dict[str, Any]:
    """Returns what `EXPECTED` holds, from a segmenter in float32: the checksum of its weights, and the shares."""
    shares = segmenter(read_image(SAMPLE_IMAGE)).class_shares()
    return {
        "checksum": segmenter.spec.checksum,
        "class_shares": {name: round(share, 6) for name, share in shares.items()},
    }


def _compare_shares(shares: dict[str, float], segmenter: Segmenter) -> tuple[bool, str]:
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    if expected["checksum"] != segmenter.spec.checksum:
        return False, f"{EXPECTED.name} belongs to other weights than the built-in model; install the package again"
    differences = {name: abs(shares[name] - share) for name, share in expected["class_shares"].items()}
    worst = max(differences, key=lambda name: differences[name])
    text = f"shares of classes on the sample: {worst} differs most, by {differences[worst]:.2%} of the pixels"
    return differences[worst] <= _MAX_DIFFERENCE, text


def _compare_with_onnxruntime(image: np.ndarray, class_map: np.ndarray) -> tuple[bool, str]:
    try:
        other = load(engine="onnxruntime", precision="float32")(image).class_map
    except RapidSegError as error:
        return False, f"ONNX Runtime is installed but does not run the model: {error}"
    agreement = float(np.mean(other == class_map))
    return (
        agreement >= MIN_PIXEL_AGREEMENT,
        f"the same class as ONNX Runtime in float32 at {agreement:.2%} of the pixels",
    )
