#!/usr/bin/env bash
# Resolve every dependency anew and write the hashed locks requirements/{build,cpu,cuda,tools}.txt.
# Needs `uv` (pip install uv). torch-cpu.txt is kept by hand: its wheels are not on PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null; then
    echo "make lock needs uv, which resolves the locks: run 'pip install uv', then 'make lock' again." >&2
    exit 2
fi

resolve() { # resolve OUTPUT INPUT...
    local output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-config --no-emit-package torchvision --no-emit-package einops --upgrade \
        --custom-compile-command "make lock" --constraint requirements/versions.txt \
        --output-file "requirements/$output" "$@"
    echo "requirements/$output: $(grep -c '==' "requirements/$output") packages"
}

resolve build.txt requirements/build.in
resolve cpu.txt pyproject.toml --extra dev --extra ray requirements/torch-cpu-needs.in \
    --override requirements/without-torch.txt --override requirements/left-out.txt \
    --no-emit-package torch
resolve cuda.txt pyproject.toml --extra dev --extra ray --override requirements/left-out.txt
resolve tools.txt requirements/tools.in
