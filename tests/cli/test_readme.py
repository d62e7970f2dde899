"""What the README promises first must be what a newcomer gets."""

import re
import shlex
from pathlib import Path

from rapidseg.imaging import read_image as read
from rapidseg.imaging import read_mask, write_image
from rapidseg.runtime.model_file import SAMPLE_IMAGE

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def product_words(block):
    """Returns what the block hands to `rapidseg`."""
    (line,) = block.splitlines()
    return shlex.split(line.split(".venv/bin/rapidseg")[1])


def test_the_first_command_segments_the_sample_with_the_base_install(rapidseg, tmp_path):
    (line,) = BLOCKS[0].splitlines()
    assert "pip install -c constraints.txt . &&" in line  # no extra: no PyTorch
    status, _, error = rapidseg(*product_words(BLOCKS[0]))
    assert (status, "built-in sample" in error) == (0, True)
    (class_map,) = (tmp_path / "predictions" / "class_maps").iterdir()
    assert read_mask(class_map).shape == read(SAMPLE_IMAGE).shape[:2]


def test_the_second_command_is_one_line_that_runs_the_tests():
    (line,) = BLOCKS[1].splitlines()
    assert line.endswith(".venv/bin/python -m pytest -n 2 --dist worksteal")
    assert "[test]" in line


def test_the_third_command_segments_a_photo(rapidseg, tmp_path):
    write_image(tmp_path / "photo.jpg", read(SAMPLE_IMAGE)[::2, ::2])
    assert rapidseg(*product_words(BLOCKS[2]))[0] == 0
    assert (tmp_path / "predictions" / "overlays" / "photo.jpg").exists()


def test_every_document_that_it_links_is_there():
    links = re.findall(r"\]\(((?!http)[^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
