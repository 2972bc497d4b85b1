#!/usr/bin/env bash
# Build the image, or run it hardened; prints the engine's command first, so that it can be copied.
#
#   scripts/container/image.sh build [OPTION-OF-THE-ENGINE...]
#   scripts/container/image.sh run [WORD-FOR-mevis-submission...]
#
#   ENGINE=docker|podman    default: the one that is installed, docker first
#   IMAGE=NAME              default: mevis-submission
# build:
#   TORCH=cuda|cpu          default: cuda
#   TORCH_INDEX=URL         where the CPU build is, when pip.conf names no place (scripts/setup.sh)
#   BASE_IMAGE=NAME         another base of the same kind, and its
#   PYTHON_VERSION=3.11     Python (default: 3.12, that of Ubuntu 24.04)
# run:
#   DATA=DIR                the folder that holds the splits; mounted at /data, read-only
#   MEVIS_WEIGHTS=DIR       the folder that holds the checkpoints; mounted at /weights, read-only
#   RUN=DIR                 where the results go (default: runs/RECIPE)
#   RECIPE, SPLIT           as for `make submit`; a recipe file is mounted, too
#   RUN_AS=UID:GID          whom the results belong to (default: you)
#   GPUS=all|none           default: all where an NVIDIA driver answers
#   OMP_NUM_THREADS=N       threads on the CPU, handed on
#   RUN_OPTIONS=WORDS       more options for the engine's run
set -euo pipefail
cd "$(dirname "$0")/../.."

IMAGE=${IMAGE:-mevis-submission}
refuse() { printf '%s\n' "$*" >&2; exit 2; }

find_engine() {
    local candidate
    for candidate in ${ENGINE:-docker podman}; do
        command -v "$candidate" >/dev/null || continue
        "$candidate" info >/dev/null 2>&1 && { printf '%s' "$candidate"; return; }
    done
    refuse "No container engine answers (${ENGINE:-docker, podman}): install and start Docker or" \
        "Podman, see that this user may use it ('docker info' says), or name one with ENGINE=podman."
}

show_and_run() {
    { printf '$'; printf ' %q' "$@"; printf '\n'; } >&2
    exec "$@"
}

# --- build -------------------------------------------------------------------------------------
revision() { # the commit, marked where the working folder differs from it
    git describe --always --dirty --abbrev=40 '--exclude=*' 2>/dev/null || printf unknown
}
source_url() { # a public address only: no path of this machine, no name or token in front of the host
    git remote get-url origin 2>/dev/null | sed -nE 's#^https://([^@/]*@)?#https://#p' || true
}

build() {
    local command
    command=(
        "$engine" build --target submission --tag "$IMAGE"
        --build-arg "LOCK=${TORCH:-cuda}"
        --build-arg "REVISION=$(revision)"
        --build-arg "VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' submission/__init__.py)"
        --build-arg "SOURCE=$(source_url)"
    )
    case ${TORCH:-cuda} in
        cpu | cuda) ;;
        *) refuse "TORCH=$TORCH is neither cpu nor cuda: leave it out for cuda." ;;
    esac
    [ -z "${TORCH_INDEX:-}" ] || command+=(--build-arg "TORCH_INDEX=$TORCH_INDEX")
    [ -z "${BASE_IMAGE:-}" ] || command+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
    [ -z "${PYTHON_VERSION:-}" ] || command+=(--build-arg "PYTHON_VERSION=$PYTHON_VERSION")
    show_and_run "${command[@]}" "$@" .
}

# --- run ---------------------------------------------------------------------------------------
mount_dir() { # mount_dir FOLDER PLACE: an absolute, read-only mount of a folder that must exist
    [ -d "$1" ] || refuse "$1: no such folder; it would be $2 in the container."
    command+=(--volume "$(realpath "$1"):$2:ro")
}

whom() { # in an engine of an ordinary user, root inside is that user outside
    local asked='{{.SecurityOptions}}'
    [ "$engine" != podman ] || asked='{{if .Host.Security.Rootless}}rootless{{end}}'
    if [ -n "${RUN_AS:-}" ]; then
        printf '%s' "$RUN_AS"
    elif "$engine" info --format "$asked" | grep -q rootless; then
        printf '0:0'
    else
        printf '%s:%s' "$(id -u)" "$(id -g)"
    fi
}

choose_gpus() {
    case ${GPUS:-} in
        all | none) printf '%s' "$GPUS"; return ;;
        ?*) refuse "GPUS=$GPUS is neither all nor none." ;;
    esac
    if nvidia-smi >/dev/null 2>&1; then printf all; else printf none; fi
}

run() {
    local command gpus id weights runs words=("$@")
    command=(
        "$engine" run --rm --network none --read-only --tmpfs /tmp
        --cap-drop ALL --security-opt no-new-privileges --pids-limit 4096
        --user "$(whom)"
    )
    [ ! -t 2 ] || command+=(--tty)
    [ -z "${OMP_NUM_THREADS:-}" ] || command+=(--env "OMP_NUM_THREADS=$OMP_NUM_THREADS")
    # Inside, nothing tells which image this is; run.json names it.
    id=$("$engine" image inspect --format '{{.Id}}' "$IMAGE" 2>/dev/null) || id=
    [ -z "$id" ] || command+=(--env "MEVIS_IMAGE=sha256:${id#sha256:}")

    gpus=$(choose_gpus)
    if [ "$gpus" = none ]; then
        printf 'No GPU in the container: the CPU is used (GPUS=all asks for GPUs).\n' >&2
    elif [ "$engine" = podman ]; then
        command+=(--device nvidia.com/gpu=all)
    else
        command+=(--gpus all)
    fi

    runs=$(dirname "${RUN:-runs/any}")
    mkdir -p "$runs" # else the engine makes it, and it belongs to root
    command+=(--volume "$(realpath "$runs"):/runs")
    [ -z "${RUN:-}" ] || words+=(--run "/runs/$(basename "$RUN")")

    weights=${MEVIS_WEIGHTS:-${XDG_CACHE_HOME:-$HOME/.cache}/mevis-submission/weights}
    if [ -n "${MEVIS_WEIGHTS:-}" ] || [ -d "$weights" ]; then mount_dir "$weights" /weights; fi
    if [ -n "${DATA:-}" ]; then
        mount_dir "$DATA" /data
        words+=(--data /data)
    fi
    [ -z "${SPLIT:-}" ] || words+=(--split "$SPLIT")
    if [ -f "${RECIPE:-}" ]; then
        command+=(--volume "$(realpath "$RECIPE"):/recipes/$(basename "$RECIPE"):ro")
        words+=(--recipe "/recipes/$(basename "$RECIPE")")
    elif [ -n "${RECIPE:-}" ]; then
        words+=(--recipe "$RECIPE")
    fi
    # shellcheck disable=SC2206  # words are meant
    command+=(${RUN_OPTIONS:-})
    show_and_run "${command[@]}" "$IMAGE" "${words[@]}"
}

verb=${1:-}
shift || true
case $verb in
    build | run) engine=$(find_engine); "$verb" "$@" ;;
    *) refuse "'$verb' is neither build nor run: the first lines of $0 show both." ;;
esac
