#!/usr/bin/env bash
# Make .cache/tools hold the locked tools for image and scripts (hadolint, shellcheck, cyclonedx-py); needs .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly LOCK=requirements/tools.txt TOOLS=.cache/tools
cmp -s "$LOCK" "$TOOLS/made-from" && exit

mkdir -p .cache
.venv/bin/python -m venv --clear "$TOOLS"
if ! "$TOOLS/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --no-deps --only-binary :all: --require-hashes -r "$LOCK" >.cache/tools.log 2>&1; then
    { tail -n 8 .cache/tools.log; echo "The tools were not installed: all output is in" \
        "$PWD/.cache/tools.log. Mend what it names, and run the same command again."; } >&2
    exit 1
fi
cp "$LOCK" "$TOOLS/made-from"
