#!/usr/bin/env bash
# Make .venv hold exactly the locked packages and this package; do nothing when it already does.
#
#   PYTHON=python3.12     the interpreter (default: the first on the PATH that the locks are for)
#   TORCH=cpu|cuda|cuda12 the build of torch (default: what the NVIDIA driver runs, else cpu)
#   TORCH_INDEX=URL       where the CPU build is looked for when pip's own configuration has none
#
# Nothing outside the project folder changes. An interrupted set-up is begun again.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly STAMP=.venv/set-up-from     # line 1: packages, line 2: interpreter, line 3: this package
readonly LOG=.cache/setup.log
readonly PYTHONS=(3.14 3.13 3.12 3.11) # what the locks are for, as pyproject.toml has it
readonly CUDA_13_DRIVER=580 CUDA_12_DRIVER=525 # the oldest NVIDIA driver branches that run them
readonly CUDA_13_GPU=75              # the oldest compute capability that its builds hold kernels for
TORCH_INDEX=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

say() { printf '%s\n' "$*"; }
refuse() { printf '%s\n' "$*" >&2; exit 2; }

digest_of() { cat "$@" | sha256sum | cut -c1-32; }
packages_key() { # packages_key TORCH
    say "$1 $(digest_of requirements/{build,torch-cpu,cpu,cuda,cuda12}.txt) $PWD"
}

# --- is there anything to do? ------------------------------------------------------------------
read_stamp() {
    had_packages="" had_python="" had_project=""
    [ -x .venv/bin/python ] && [ -f "$STAMP" ] || return 0
    { read -r had_packages && read -r had_python && read -r had_project; } <"$STAMP" || true
}
packages_ready() {
    [ -n "$had_packages" ] &&
        [ "$had_packages" = "$(packages_key "${TORCH:-${had_packages%% *}}")" ] &&
        { [ -z "${PYTHON:-}" ] || [ "$had_python" = "$(command -v "$PYTHON" || true)" ]; }
}
project_ready() { [ "$had_project" = "$(digest_of pyproject.toml)" ]; }

# --- what this machine has ---------------------------------------------------------------------
version_of() { "$1" -c 'import sys; print("%d.%d%s" % (*sys.version_info[:2], sys.abiflags))' 2>/dev/null || true; }

find_python() {
    local candidate version seen=""
    for candidate in ${PYTHON:-python3 "${PYTHONS[@]/#/python}"}; do
        version=$(version_of "$candidate")
        [ -n "$version" ] || continue
        case " ${PYTHONS[*]} " in
            *" $version "*) command -v "$candidate"; return ;;
            *) seen="$seen, $candidate is $version" ;;
        esac
    done
    refuse "Python ${PYTHONS[-1]} to ${PYTHONS[0]} is needed${seen:- and none was found}:" \
        "install one ('sudo apt install python3 python3-venv' on Debian 12 and 13, Ubuntu 24.04" \
        "and 26.04), or name one with PYTHON=/path/to/python3.12, and run the same command again."
}

need_venv() {
    local version
    version=$(version_of "$1")
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        refuse "$1 (Python $version) has no venv module:" \
            "run 'sudo apt install python$version-venv', and then the same command again."
}

choose_torch() {
    local driver oldest
    case ${TORCH:-} in
        cpu | cuda | cuda12) say "$TORCH"; return ;;
        ?*) refuse "TORCH=$TORCH is neither cpu nor cuda nor cuda12: leave it out, or say TORCH=cpu." ;;
    esac
    driver=$(ask_gpus driver_version)
    case ${driver%%.*} in
        "" | *[!0-9]*) say cpu; return ;;
    esac
    oldest=$(ask_gpus compute_cap | sort -V | head -n 1) # such as 7.0 for a V100; "" by an old driver
    oldest=${oldest/./}
    if [ "${driver%%.*}" -lt "$CUDA_12_DRIVER" ]; then
        say "The NVIDIA driver is ${driver%%$'\n'*}, and CUDA 12 needs $CUDA_12_DRIVER or newer:" \
            "update the driver to use the GPU, or set TORCH=cpu for the smaller CPU build." >&2
    fi
    if [ "${driver%%.*}" -ge "$CUDA_13_DRIVER" ] && [[ ! $oldest =~ ^[0-9]+$ || $oldest -ge $CUDA_13_GPU ]]
    then say cuda; else say cuda12; fi
}
ask_gpus() { nvidia-smi "--query-gpu=$1" --format=csv,noheader 2>/dev/null || true; }

# --- the steps, each one line on the terminal and its output in the log ------------------------
step() { # step WORDS COMMAND...
    local words=$1 status=0
    shift
    say "  $words"
    "$@" >>"$LOG" 2>&1 || status=$?
    [ "$status" -eq 0 ] && return
    { tail -n 8 "$LOG"; say "" "Set-up stopped at '$words' (exit status $status): all output is in" \
        "$PWD/$LOG. Mend what it names, and run the same command again."; } >&2
    exit 1
}

install() { # install PIP-ARGUMENTS...
    .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --no-deps --no-build-isolation "$@"
}

install_torch_cpu() {
    local wanted=(--require-hashes -r requirements/torch-cpu.txt)
    # A company mirror or a folder of wheels in pip's own configuration comes first.
    install "${wanted[@]}" && return
    tail -n 20 "$LOG" | grep -q "Could not find a version" || return 1
    install "${wanted[@]}" --extra-index-url "$TORCH_INDEX"
}

set_up_packages() { # set_up_packages PYTHON TORCH
    say "Setting up .venv: Python $(version_of "$1"), torch for $2"
    rm -f "$STAMP"
    step "virtual environment" "$1" -m venv --clear "$(readlink -m .venv)" # it may be a link to a larger disk
    step "build tools" install --require-hashes -r requirements/build.txt
    [ "$2" != cpu ] || step "torch" install_torch_cpu
    step "locked packages ($2)" install --require-hashes -r "requirements/$2.txt"
}

main() {
    read_stamp
    if packages_ready && project_ready; then return; fi
    [ "$(uname -s)" = Linux ] || refuse "The locked packages are for Linux, and this is $(uname -s)."

    mkdir -p .cache
    exec 9>.cache/setup.lock
    flock 9 # another set-up of this folder may be under way: wait for it, then look again
    read_stamp
    local started=$SECONDS python torch
    : >"$LOG"
    # sam2 would compile a CUDA kernel that the kit does not use; a user's pip.conf may ask for --user.
    export SAM2_BUILD_CUDA=0 PIP_USER=0
    if ! packages_ready; then
        python=$(find_python)
        need_venv "$python"
        torch=$(choose_torch)
        set_up_packages "$python" "$torch"
        had_packages=$(packages_key "$torch") had_python=$python had_project=""
    fi
    project_ready || step "this package" install -e .
    printf '%s\n' "$had_packages" "$had_python" "$(digest_of pyproject.toml)" >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
    say "Set-up done in $((SECONDS - started)) s."
}

main
