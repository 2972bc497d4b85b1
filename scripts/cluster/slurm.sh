#!/usr/bin/env bash
# One submission on several Slurm nodes: a Ray head, a Ray node on each other one, and the driver.
#
#   sbatch --nodes=2 --gpus-per-node=8 scripts/cluster/slurm.sh \
#       --recipe single-80gb --data /data/mevis --split valid --run runs/first
#
# All words go to `mevis-submission submit`. Data, weights and this folder must be at the same paths
# on every node; only the driver writes the run folder. Whatever ends the job, submitting it again
# goes on from there. docs/cluster.md tells more.
#
#   MEVIS_BIN=FOLDER     where mevis-submission and ray are (default: .venv/bin below this folder)
#   MEVIS_SIF=FILE.sif   use them from this Apptainer image instead; MEVIS_BIND="/data:/data:ro,..."
#   MEVIS_REQUEUE=1      put the job back into the queue when its time is up
#
#SBATCH --job-name=mevis-submission
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
# A node that fails takes its workers with it and not the job.
#SBATCH --no-kill
# Two minutes before the end the driver is told to stop, as by Ctrl-C.
#SBATCH --signal=B:INT@120
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"

readonly JOB=${SLURM_JOB_ID:?this is a job for Slurm: start it with sbatch}
readonly HEAD_WITHIN=180 # seconds until the head must answer
readonly INTERRUPTED=130 # exit status of the driver after Ctrl-C

say() { printf 'slurm.sh: %s\n' "$*" >&2; }

# --- what the nodes run ------------------------------------------------------------------------
if [ -n "${MEVIS_SIF:-}" ]; then
    inside=(apptainer exec --nv --containall --no-home --pwd "$PWD" --bind "$PWD,/tmp,${MEVIS_BIND:-/dev/shm}")
    inside+=("$MEVIS_SIF")
    bin=""
else
    inside=(env)
    bin=${MEVIS_BIN:-$PWD/.venv/bin}
    bin=${bin%/}/
    [ -x "${bin}ray" ] || { say "${bin}ray: no such program; make set-up installs it"; exit 2; }
fi

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
ip=$(srun --overlap --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address)
ip=$(tr ' ' '\n' <<<"$ip" | grep -m1 -E '^[0-9]+(\.[0-9]+){3}$')
port=$((20000 + JOB % 20000)) # jobs that share a node keep apart

# Whoever reaches a Ray head can run code on it: only those who know this job's token are let in.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN APPTAINERENV_RAY_AUTH_MODE=token APPTAINERENV_RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
APPTAINERENV_RAY_AUTH_TOKEN=$RAY_AUTH_TOKEN
export RAY_USAGE_STATS_ENABLED=0
# When the work is done there is nothing to drain.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0

# --- Ray on every node -------------------------------------------------------------------------
steps=()
ray_on() { # ray_on NODE WORDS...
    local node=$1 cores=() gpus=()
    shift
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || cores=(--num-cpus="$SLURM_CPUS_PER_TASK")
    [ -z "${SLURM_GPUS_PER_NODE:-}" ] || gpus=(--gpus-per-node="$SLURM_GPUS_PER_NODE")
    srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" "${gpus[@]}" \
        "${inside[@]}" "${bin}ray" start --block "${cores[@]}" "$@" >&2 &
    steps+=($!)
}
# shellcheck disable=SC2317 # it is called by the trap
stop() {
    trap - EXIT
    kill "${steps[@]}" 2>/dev/null || true
    wait "${steps[@]}" 2>/dev/null || true
}
trap stop EXIT

ray_on "${nodes[0]}" --head --node-ip-address="$ip" --port="$port" --include-dashboard=false \
    --temp-dir="/tmp/ray-$JOB"
since=$SECONDS
until (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null; do
    kill -0 "${steps[0]}" 2>/dev/null || { say "the Ray head on ${nodes[0]} has ended: see above"; exit 1; }
    ((SECONDS - since < HEAD_WITHIN)) || { say "no Ray head at $ip:$port for $HEAD_WITHIN s"; exit 1; }
    sleep 1
done
for node in "${nodes[@]:1}"; do
    ray_on "$node" --address="$ip:$port"
done
say "Ray head on ${nodes[0]} ($ip:$port), and ${#nodes[@]} nodes in all"

# --- the driver, on the first node --------------------------------------------------------------
"${inside[@]}" "${bin}mevis-submission" submit --ray "$ip:$port" "$@" &
driver=$!
trap 'kill -INT "$driver" 2>/dev/null' INT TERM
status=0
wait "$driver" || status=$?
while kill -0 "$driver" 2>/dev/null; do # a signal ends `wait` before the driver has ended
    status=0
    wait "$driver" || status=$?
done
if [ "$status" -eq "$INTERRUPTED" ] && [ "${MEVIS_REQUEUE:-0}" = 1 ]; then
    say "put back into the queue: what is finished is kept"
    scontrol requeue "$JOB"
fi
exit "$status"
