#!/usr/bin/env bash
# Installs the package without extras on another Python than the one in .venv, where the system has one, and runs the
# tests of the base install there. Name it as the first argument, or let the script look.
set -euo pipefail
cd "$(dirname "$0")/.."
own="$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
find_python() {
  local version release
  for version in 3.14 3.13 3.12 3.10; do
    [ "$version" = "$own" ] && continue
    if "python$version" -c "" 2> /dev/null; then
      command -v "python$version"
      return
    fi
    if command -v pyenv > /dev/null; then  # it hides versions that are installed but not chosen
      release="$(pyenv versions --bare | grep "^$version\." | tail -n 1 || true)"
      if [ -n "$release" ]; then
        echo "$(pyenv prefix "$release")/bin/python"
        return
      fi
    fi
  done
}
python="${1:-$(find_python)}"
if [ -z "$python" ]; then
  echo "no Python but $own is installed; the base install is not tried on another one"
  exit 0
fi
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --constraint constraints.txt . pytest hypothesis
"$folder/venv/bin/python" --version
"$folder/venv/bin/python" -m pytest -p no:cacheprovider tests/base_install
