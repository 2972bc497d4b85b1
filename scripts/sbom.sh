#!/usr/bin/env bash
# Write the bill of materials of a lock as CycloneDX 1.6: build/sbom-cuda.cdx.json.
#
#   TORCH=cuda|cuda12|cpu         which lock (default: cuda, that of the image)
#
# The same lock gives the same bytes. Base image and system packages are not in it: the base is
# pinned in the Dockerfile, and `dpkg-query --show` in the image lists the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TORCH=${TORCH:-cuda}
case $TORCH in
    cuda | cuda12) locks=("requirements/$TORCH.txt") ;;
    cpu) locks=(requirements/torch-cpu.txt requirements/cpu.txt) ;;
    *) echo "TORCH=$TORCH is neither cpu nor cuda nor cuda12: leave it out for cuda." >&2; exit 2 ;;
esac
readonly OUTPUT=build/sbom-$TORCH.cdx.json

scripts/tools.sh
mkdir -p build
# A lock is flat, and the tool warns of every flat list.
export PYTHONWARNINGS=ignore::UserWarning
cat "${locks[@]}" | .cache/tools/bin/cyclonedx-py requirements --pyproject pyproject.toml \
    --output-reproducible --spec-version 1.6 --output-format JSON --output-file "$OUTPUT" -
echo "$OUTPUT: $(grep -c '"bom-ref": "requirements-L' "$OUTPUT") packages"
