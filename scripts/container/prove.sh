#!/usr/bin/env bash
# Prove the image without a registry: build the Dockerfile on a stand-in base, run it hardened and
# without network through the Docker API, and compare its submission.zip with one made outside, byte
# by byte.
#
#   scripts/container/prove.sh              everything, with the CPU lock; 5 to 10 minutes
#   LOCK=cuda scripts/container/prove.sh    the same with that of a GPU, on the CPU; 35 GB of disk
#
# Needs podman, runc and mmdebstrap, the project's .venv, and Debian's archive and a package index
# for the build. All it makes lies in .cache/image; `make clean` removes it.
# Exit status: 0 proven, 1 not, 2 a program is missing, 3 this machine cannot run containers.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly ROOT=$PWD WORK=$PWD/.cache/image LOG=$PWD/.cache/image/prove.log
readonly SUITE=bookworm PYTHON=3.11 # Debian 12; the true base is Ubuntu 24.04 with 3.12
readonly LOCK=${LOCK:-cpu}
readonly BASE=localhost/mevis-stand-in:$SUITE NAME=localhost/mevis-submission
readonly STRANGER=12345 STRANGERS=23456 # a user and a group without a name in the image
# The format of the API's builds, so that they find the finished steps of the command line.
readonly BUILD=(--network host --format docker)
export OMP_NUM_THREADS=1 # as many threads inside as outside: sums depend on it

say() { printf '%s\n' "$*"; }
refuse() { printf '%s\n' "$*" >&2; exit 2; }

# Inside a step `set -e` is off: commands that must succeed are joined by && or return.
step() { # step WORDS COMMAND...: a line with the seconds; the output goes to the log
    local words=$1 started=$SECONDS
    shift
    printf '  %-58s' "$words"
    say "== $words" >>"$LOG"
    if ! "$@" >>"$LOG" 2>&1; then
        say "failed"
        { tail -n 15 "$LOG"; say "" "Not proven: '$words' failed; all output is in $LOG."; } >&2
        exit 1
    fi
    printf '%4d s\n' $((SECONDS - started))
}

must_find() { # must_find WORDS COMMAND...: a guard that cannot fail guards nothing
    local said status=0
    said=$("${@:2}" 2>&1) || status=$?
    say "$said"
    [ $status -ne 0 ] && grep -q -- "$1" <<<"$said"
}

# --- the engine, apart from the machine's own images ----------------------------------------------
need_programs() {
    local missing=()
    for program in podman runc mmdebstrap; do
        command -v $program >/dev/null || missing+=("$program")
    done
    [ ${#missing[@]} -eq 0 ] ||
        refuse "The proof needs ${missing[*]}: run 'sudo apt install podman runc mmdebstrap" \
            "netavark catatonit', and then 'make prove-image' again."
    [ -x .venv/bin/python ] || refuse "There is no .venv: run 'make prove-image'."
}

set_up_engine() {
    short=$(mktemp -d /tmp/prove-image.XXXXXX) # sockets need short paths
    trap stop_service EXIT
    cat >"$WORK/containers.conf" <<-END
	[containers]
	default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
	[engine]
	runtime = "runc"
	cgroup_manager = "cgroupfs"
	events_logger = "file"
	END
    cat >"$WORK/storage.conf" <<-END
	[storage]
	driver = "overlay"
	graphroot = "$WORK/storage"
	runroot = "$short/run"
	END
    rm -rf "$WORK/storage" # a finished step of last time would not be timed
    export CONTAINERS_CONF=$WORK/containers.conf CONTAINERS_STORAGE_CONF=$WORK/storage.conf
}

stop_service() {
    [ -z "${service:-}" ] || kill "$service" 2>/dev/null || true
    rm -rf "$short"
}

make_base() {
    if [ ! -f "$WORK/base.tar" ]; then
        mmdebstrap --variant=minbase --include=ca-certificates $SUITE "$WORK/partial.tar" &&
            mv "$WORK/partial.tar" "$WORK/base.tar" || return 1
    fi
    podman image exists $BASE || podman import "$WORK/base.tar" $BASE
}

can_run_containers() {
    podman run --rm --network none --entrypoint /bin/true $BASE >>"$LOG" 2>&1 && return
    { tail -n 3 "$LOG"; say "Not proven: this machine does not let containers run."; } >&2
    exit 3
}

# --- what goes in: the project's files, and what pip needs on this network ---------------------------
copy_source() {
    rm -rf "$WORK/source"
    mkdir -p "$WORK/source"
    git ls-files -z -co --exclude-standard -- . ':!tests' |
        tar --create --null --ignore-failed-read --files-from - | tar --extract -C "$WORK/source"
    prepare_pip "$WORK/source/scripts/container/local" || return 1
    # Whole seconds: the API's archive knows no fractions, and finished steps are to be found again.
    find "$WORK/source" -exec touch --no-dereference --date @1700000000 {} +
}

prepare_pip() { # prepare_pip FOLDER: certificate, index and the CPU build of torch, as outside
    local pip=(.venv/bin/python -m pip) torch=(--no-deps --require-hashes -r requirements/torch-cpu.txt)
    local cert index
    cert=$("${pip[@]}" config get global.cert 2>/dev/null || say "${PIP_CERT:-${SSL_CERT_FILE:-}}")
    index=$("${pip[@]}" config get global.index-url 2>/dev/null || say "${PIP_INDEX_URL:-}")
    {
        printf '%s\n' "[global]" "find-links = ."
        if [ -f "$cert" ]; then
            cp "$cert" "$1/ca.pem"
            say "cert = ca.pem"
        fi
        case $index in https://*) say "index-url = $index" ;; esac
    } >"$1/pip.conf"
    [ "$LOCK" = cpu ] || return 0
    torch+=(--only-binary :all: --python-version "$PYTHON" --dest "$1")
    "${pip[@]}" download "${torch[@]}" ||
        "${pip[@]}" download "${torch[@]}" --extra-index-url https://download.pytorch.org/whl/cpu
}

# --- what is asked of the image ------------------------------------------------------------------------
in_source() { (cd "$WORK/source" && "$@"); }
kit() { in_source "$ROOT/.venv/bin/python" -m submission container "$@"; }
run_kit() { kit run --image $NAME --gpus none "$@"; }

build_target() { # build_target STAGE OPTION...: another stage than the one that runs
    in_source podman build "${BUILD[@]}" --build-arg LOCK="$LOCK" --build-arg BASE_IMAGE=$BASE \
        --build-arg PYTHON_VERSION=$PYTHON --target "$1" --tag "$NAME:$1" "${@:2}" .
}

outside() {
    rm -rf "$WORK/outside"
    in_source "$ROOT/.venv/bin/python" -m submission submit --run "$WORK/outside"
}

holds_only_what_runs() { # holds_only_what_runs IMAGE
    podman run --rm --network none --entrypoint /bin/sh "$1" -c '
        for name in gcc cc g++ c++ clang ld as make git pip pip3 mypy pytest ruff selenium-manager; do
            command -v $name && faults=yes
        done
        found=$(find / -xdev \( -name "*.whl" -o -name pip.conf -o -name ca.pem -o -name "*_Packages" \
            -o -path "/root/.cache" -o -path "*/site-packages/pip" -o -path "/build/*" \) 2>/dev/null)
        [ -z "$found" ] || { echo "$found"; faults=yes; }
        [ -z "$faults" ]'
}

installing_stage_is_noticed() {
    build_target libraries && must_find /build/local/pip.conf holds_only_what_runs $NAME:libraries
}

is_labelled() {
    local revision
    revision=$(in_source git describe --always --dirty --abbrev=40 '--exclude=*')
    podman inspect --format '{{json .Config}}' $NAME | python3 -c '
import json, sys
config = json.load(sys.stdin)
labels = {k.removeprefix("org.opencontainers.image."): v for k, v in config["Labels"].items()}
assert labels["revision"] == sys.argv[1], labels
assert labels["licenses"] == "Apache-2.0" and labels["version"], labels
assert config["User"] == "10001:10001", config["User"]
assert config["StopSignal"] == "SIGINT", config' "$revision"
}

prepare_mounts() { # data, weights and a recipe that knows only the places inside
    rm -rf "$WORK/mounts"
    mkdir -p "$WORK"/mounts/{runs,weights}
    cp -r submission/samples/mevis "$WORK/mounts/data"
    cp -r submission/samples/small-* "$WORK/mounts/weights"
    sed -e 's#\.\./samples/small-#/weights/small-#' -e '/^\[data\]/,/^$/d' \
        submission/recipes/sample.toml >"$WORK/mounts/mounted.toml"
    [ "$(id -u)" != 0 ] || chown $STRANGER:$STRANGERS "$WORK/mounts/runs"
}

as_stranger() { # as_stranger OPTION-OR-WORD...; an ordinary user cannot give files away, and runs as itself
    local user=()
    [ "$(id -u)" != 0 ] || user=(--user "$STRANGER:$STRANGERS")
    run_kit "${user[@]}" --weights "$WORK/mounts/weights" --data "$WORK/mounts/data" \
        --run "$WORK/mounts/runs/mine" "$@"
}

with_mounts() {
    as_stranger --recipe "$WORK/mounts/mounted.toml" submit --split valid_u &&
        cmp "$WORK/outside/submission.zip" "$WORK/mounts/runs/mine/submission.zip"
}

names_its_image() {
    local id
    id=$(podman image inspect --format '{{.Id}}' $NAME)
    grep -q "\"image\": \"sha256:${id#sha256:}\"" "$WORK/mounts/runs/mine/run.json"
}

belongs_to_stranger() {
    [ "$(id -u)" != 0 ] || [ -z "$(find "$WORK/mounts/runs" ! -uid $STRANGER -o ! -gid $STRANGERS)" ]
}

is_confined() { # what is handed on to the kit, `--run` and the like, a program of Python's does not mind
    as_stranger --entrypoint python -- -c "$(cat scripts/container/confined.py)"
}
is_confined_without_hardening() {
    podman run --rm --network host --entrypoint python $NAME -c "$(cat scripts/container/confined.py)"
}

refuses_cuda() { # one sentence and exit status 2
    local said status=0
    said=$(as_stranger --recipe "$WORK/mounts/mounted.toml" submit --split valid_u --device cuda \
        2>&1 >/dev/null) || status=$?
    say "$said"
    [ $status -eq 2 ] && [ "$(grep -c 'finds no usable GPU' <<<"$said")" -eq 1 ] &&
        ! grep -q Traceback <<<"$said"
}

# --- the engine's API -------------------------------------------------------------------------------------
start_service() {
    podman system service --time=0 "unix://$short/podman.sock" &
    service=$!
    export DOCKER_HOST=unix://$short/podman.sock
    timeout 20 sh -c "until [ -S $short/podman.sock ]; do sleep 0.1; done"
}

runs_the_sample() {
    rm -rf "$WORK/sample"
    run_kit --runs "$WORK/sample" submit && cmp "$WORK/outside/submission.zip" "$WORK/sample/sample/submission.zip"
}

with_weights() {
    build_target with-weights --build-context "weights=$WORK/mounts/weights" &&
        podman run --rm --network none --entrypoint /bin/sh $NAME:with-weights \
            -c 'test -r /weights/small-5/model.safetensors'
}

# The kit is outside, and an expert of somebody else in a container: examples/expert-container.
answers_as_an_expert() {
    local example=$WORK/source/examples/expert-container made=$WORK/expert kind
    rm -rf "$made"
    mkdir -p "$made"
    podman build "${BUILD[@]}" --build-arg BASE_IMAGE=$NAME --tag $NAME:motion "$example" &&
        .venv/bin/python "$example/expert.py" submission/samples/mevis/valid_u "$made/by-hand" || return 1
    printf '%s\n' '[[expert]]' 'name = "motion"' 'masks = "by-hand/Annotations"' >"$made/masks.toml"
    printf '%s\n' '[[expert]]' 'name = "motion"' 'kind = "container"' \
        "image = \"sha256:$(podman image inspect --format '{{.Id}}' $NAME:motion)\"" >"$made/container.toml"
    for kind in masks container; do
        in_source "$ROOT/.venv/bin/python" -m submission submit --data submission/samples/mevis \
            --split valid_u --recipe "$made/$kind.toml" --run "$made/$kind" --device cpu || return 1
    done
    cmp "$made/masks/submission.zip" "$made/container/submission.zip"
}

main() {
    need_programs
    mkdir -p "$WORK"
    : >"$LOG"
    set_up_engine
    say "Proving the image; all output is in $LOG"
    step "stand-in base (Debian 12, Python $PYTHON)" make_base
    can_run_containers
    step "files of the project, and what pip needs" copy_source
    step "outside: submit" outside
    start_service
    step "container build, $LOCK lock" kit build --image $NAME --torch "$LOCK" --base $BASE --python $PYTHON --network host
    step "the image holds no compiler, no pip, no cache, no secret" holds_only_what_runs $NAME
    step "  the stage that installs does (negative control)" installing_stage_is_noticed
    step "labels, user and stop signal" is_labelled
    prepare_mounts
    step "container run, same zip" runs_the_sample
    step "  with data, weights and recipe mounted, same zip" with_mounts
    step "run.json names the image" names_its_image
    step "the results belong to the user that was named" belongs_to_stranger
    step "the container can do nothing else" is_confined
    step "  an unhardened one can (negative control)" \
        must_find "there is a network" is_confined_without_hardening
    step "a GPU that is not there is one sentence" refuses_cuda
    step "weights inside: --target with-weights" with_weights
    step "an expert in a container, same zip" answers_as_an_expert
    say "Layers: $(podman history --format '{{.Size}}' $NAME | grep -v '^0 B' | tac | paste -sd ';' | sed 's/;/, /g')"
    say "Proven: $(podman image inspect --format '{{.Size}}' $NAME | awk '{printf "%.2f GB", $1 / 1e9}')," \
        "submission.zip $(sha256sum <"$WORK/outside/submission.zip" | cut -c1-16) inside and outside."
    podman rmi --all --force >>"$LOG" 2>&1 # gigabytes; after a failure they stay, to be looked at
    rm -rf "$WORK/storage"
}

main
