#!/usr/bin/env bash
# Resolve every dependency anew and write the hashed locks requirements/{build,cpu,cuda,cuda12,tools}.txt.
# Needs `uv` (pip install uv). torch-cpu.txt is kept by hand: its wheels are not on PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null; then
    echo "make lock needs uv, which resolves the locks: run 'pip install uv', then 'make lock' again." >&2
    exit 2
fi

versions=requirements/versions.txt
resolve() { # resolve OUTPUT INPUT...
    local output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-config --no-emit-package torchvision --no-emit-package einops --upgrade \
        --custom-compile-command "make lock" --constraint "$versions" \
        --output-file "requirements/$output" "$@"
    echo "requirements/$output: $(grep -c '==' "requirements/$output") packages"
}

resolve build.txt requirements/build.in
resolve cpu.txt pyproject.toml --extra dev --extra ray requirements/torch-cpu-needs.in \
    --override requirements/without-torch.txt --override requirements/left-out.txt \
    --no-emit-package torch
resolve cuda.txt pyproject.toml --extra dev --extra ray --override requirements/left-out.txt
# The same versions, but for torch.
trap 'rm -f requirements/versions.partial' EXIT
grep -v '^torch==' requirements/versions.txt >requirements/versions.partial
versions=requirements/versions.partial
cp requirements/cuda.txt requirements/cuda12.txt # what uv need not change stays as it is there
resolve cuda12.txt pyproject.toml requirements/torch-cuda12.in --extra dev --extra ray \
    --override requirements/left-out.txt
versions=requirements/versions.txt
resolve tools.txt requirements/tools.in
