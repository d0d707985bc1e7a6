# From here on the file is the same for every run.

say() { printf 'gristmill: %s\n' "$*" >&2; }

cd -- "$folder" || exit 1
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
restarts=${SLURM_RESTART_COUNT:-0}
say "start $((restarts + 1)) of job $SLURM_JOB_ID, on ${nodes[*]}"
export PYTHONUNBUFFERED=1

if ((restarts == 0)); then
    run+=("${only_at_first[@]}")
fi

# ---- Ray: a step for the first node, where this script and the driver run, and a step for the others.

# Only processes that know the job's token may use its Ray; otherwise anyone in the network could.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

# Ray on a node, until SIGTERM, with a folder that goes with it. (`ray stop` would also end Ray of the user's other jobs.)
# Where Slurm sends SIGTERM to all processes of the step, the node waits for a head that is gone: it is killed.
ray_node() {
    local python=$1 temporary=/tmp/gristmill-$SLURM_JOB_ID.$SLURM_STEP_ID.$SLURM_NODEID ray='' kill_at=0
    trap 'kill_at=$((SECONDS + 5)); kill "$ray" 2>/dev/null' TERM
    rm -rf "$temporary"
    mkdir -m 700 "$temporary" || exit 1
    # Where Slurm limits the memory of the job on a node, in MiB, tasks get it, less the store of objects.
    local mb=${SLURM_MEM_PER_NODE:-$((${SLURM_MEM_PER_CPU:-0} * SLURM_CPUS_ON_NODE))} limits=()
    if ((mb > 0)); then
        limits=(--memory=$(((mb - 500) << 20)))
    fi
    "$python" -P -m ray.scripts.scripts start --block --temp-dir="$temporary" --num-cpus="$SLURM_CPUS_ON_NODE" \
        --object-store-memory=$((500 << 20)) "${limits[@]}" "${@:2}" >/dev/null &
    ray=$!
    while kill -0 "$ray" 2>/dev/null; do
        if ((kill_at > 0 && SECONDS > kill_at)); then
            kill -KILL "$ray" 2>/dev/null
        fi
        sleep 0.2 &
        wait $!
    done
    rm -rf "$temporary"
}
on_node=(bash -c "$(declare -f ray_node); ray_node \"\$@\"" ray_node "$python")
step=(srun --ntasks-per-node=1 --cpu-bind=none --no-kill --kill-on-bad-exit=0 --wait=0)

# The address of this node in the network of the others, and a free port of it.
read -r address < <("$python" -P - "${nodes[-1]}" <<'EOF'
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way, socket.socket() as free:
    way.connect((sys.argv[1], 9))  # sends nothing
    free.bind(("", 0))
    print(f"{way.getsockname()[0]}:{free.getsockname()[1]}")
EOF
)
if [[ -z $address ]]; then
    say "no way in the network from ${nodes[0]} to ${nodes[-1]}"
    exit 1
fi

"${step[@]}" --nodes=1 --nodelist="${nodes[0]}" "${on_node[@]}" \
    --head --node-ip-address="${address%:*}" --port="${address#*:}" --include-dashboard=false &
head=$!
steps=("$head")
if ((${#nodes[@]} > 1)); then
    "${step[@]}" --nodes=$((${#nodes[@]} - 1)) --exclude="${nodes[0]}" "${on_node[@]}" --address="$address" &
    steps+=("$!")
fi

# ---- The driver, as soon as all nodes are there, or after $nodes_wait_s seconds with those that are.

# SIGTERM comes $grace_s seconds before the time limit, or as the job is preempted. The driver then ends at its next batch:
# what is done is kept. If it does not end in time, it is killed, and what was open is made again. Without Ray it cannot
# end by itself.
stop() { # why, seconds until it is killed
    if ((kill_at == 0)); then
        say "$1; the run stops"
        kill_at=$((SECONDS + $2))
        kill "$process" 2>/dev/null
    fi
}
kill_at=0 ray_ended=0
trap 'stop SIGTERM $((grace_s - 30))' TERM

# Wait for a process, which is stopped on SIGTERM and where Ray ends; its exit code.
attend() {
    process=$1
    while kill -0 "$process" 2>/dev/null; do
        if ! kill -0 "$head" 2>/dev/null; then
            ray_ended=1
            stop "Ray has ended" 5
        fi
        if ((kill_at > 0 && SECONDS > kill_at)); then
            kill -KILL "$process" 2>/dev/null
        fi
        sleep 0.2 &
        wait $!
    done
    wait "$process"
}

"$python" -P - "$address" "${#nodes[@]}" "$nodes_wait_s" <<'EOF' &
import sys, time, ray
address, nodes, wait_s = sys.argv[1:]
end = time.monotonic() + int(wait_s)
while not ray.is_initialized():
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except ConnectionError:
        if time.monotonic() > end:
            sys.exit(f"gristmill: Ray at {address} does not answer")
        time.sleep(1)
while (there := sum(node["Alive"] for node in ray.nodes())) < int(nodes) and time.monotonic() < end:
    time.sleep(1)
print(f"gristmill: {there} of {nodes} nodes are there", file=sys.stderr)
EOF
attend $!
code=$?
drive() {
    "$python" -P -m pipelines "${run[@]}" --executor ray --address "$address" &
    attend $!
}
if ((code == 0 && kill_at == 0)); then
    drive
    code=$?
    if ((code == 2 && restarts > 0 && kill_at == 0)); then
        # The last start may have been killed on another node: the lock of its driver ends after a while.
        say "once more in $lock_wait_s seconds, when a lock of the last start has ended"
        sleep "$lock_wait_s" &
        attend $!
        drive
        code=$?
    fi
    goes_on=$((code > 2 || (code > 0 && ray_ended)))
else
    goes_on=$((kill_at > 0 && !ray_ended)) # where Ray does not start, it would not start again
fi

# ---- The end: Ray on all nodes, then the job goes back into the queue, or is done.

trap '' TERM
kill "${steps[@]}" 2>/dev/null
for ((i = 0; i < 100; i++)); do
    kill -0 "${steps[@]}" 2>/dev/null || break
    sleep 0.2
done

if ((!goes_on)); then # it is done, or has failed and would fail again
    exit "$code"
elif ! scontrol show job "$SLURM_JOB_ID" | grep -q JobState=RUNNING; then
    say "Slurm ends the job" # by scancel, or to start it again by itself
elif ((restarts >= max_restarts)); then
    say "restarted $restarts times; what is done is kept, and sbatch goes on from there"
elif scontrol requeue "$SLURM_JOB_ID"; then
    say "back in the queue; the next start goes on from what is done"
else
    say "cannot go back into the queue; what is done is kept, and sbatch goes on from there"
fi
exit "$code"
