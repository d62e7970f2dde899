#!/usr/bin/env bash
# The pinned versions of the base install must have wheels for the newest Python, whether or not it is installed here.
set -euo pipefail
cd "$(dirname "$0")/.."
newest=3.14
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${VENV:-.venv}/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
"${VENV:-.venv}/bin/python" -m pip install --quiet --dry-run --ignore-installed --target "$folder/target" \
  --python-version "$newest" --only-binary=:all: --constraint constraints.txt "$folder"/rapidseg-*.whl
echo "the pins of the base install resolve for Python $newest"
