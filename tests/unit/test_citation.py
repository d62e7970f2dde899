"""CITATION.cff names the version that is released."""

from pathlib import Path

import yaml

import rapidseg

ROOT = Path(__file__).resolve().parents[2]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", rapidseg.__version__)
    assert citation["license"] == "Apache-2.0"
