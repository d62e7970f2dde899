#!/usr/bin/env bash
# Everything that must hold before a change is taken, the tests apart: format, lint, types and layers.
# Run it from anywhere; the tools come from the `dev` extra.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="${VENV:-.venv}/bin"
"$bin/ruff" format --check .
"$bin/ruff" check .
"$bin/mypy"
"$bin/lint-imports"
