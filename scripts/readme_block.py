"""Prints the n-th fenced `sh` block of the README, so that what it promises is what is run."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
print(re.findall(r"^```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)[int(sys.argv[1]) - 1], end="")
