#!/bin/bash
# pytc predict as an array job and through dask's jobs, on a SLURM of one node that this script starts and stops.
#
#     apt-get install slurm-wlm munge; pip install -e '.[dask]'      # as root, once; nothing is installed here
#     benchmarks/slurm/prove.sh [FOLDER]
#
# Everything lies in FOLDER (a new one under /tmp by default) and listens on loopback: key, configuration, logs, jobs, results. The
# results of one process, of an array of shards and of dask's jobs are compared file by file. Ends with "the same" or an error.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath -m "${1:-$(mktemp -d /tmp/slurm.XXXXXX)}")
pytc=${PYTC:-$(command -v pytc || echo "$here/../../.venv/bin/pytc")}
python=$(dirname "$pytc")/python
host=$(hostname -s)
shards=3
mkdir -p "$folder"/{ctld,spool,jobs}
export SLURM_CONF=$folder/slurm.conf OMP_NUM_THREADS=1
export DASK_JOBQUEUE__SLURM__INTERFACE=lo DASK_JOBQUEUE__SLURM__WALLTIME=00:20:00 DASK_JOBQUEUE__SLURM__MEMORY=2GB
export DASK_JOBQUEUE__SLURM__CORES=1 DASK_JOBQUEUE__SLURM__LOG_DIRECTORY=$folder/jobs

stop() {
    scancel --user="$(id -un)" 2>/dev/null || true
    for name in slurmd slurmctld munged; do
        [ -f "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2>/dev/null || true
    done
}
trap stop EXIT

start() {
    head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 600 "$folder/munge.key"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
    cat > "$SLURM_CONF" <<EOF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(free -m | awk '/^Mem/ {print $2}') State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    slurmctld
    slurmd
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && return
        sleep 0.5
    done
    sinfo || true
    tail -n 5 "$folder/slurmctld.log" "$folder/slurmd.log"
    echo "SLURM did not start"
    exit 1
}

# Every file of a result but .pytc, without its own name, and without what tells how and when it was made.
same() {
    "$python" - "$folder/plain" "$folder/$1" <<'EOF'
import re
import sys
from pathlib import Path

OWN = re.compile(rb'"(command|date|name)": "[^"]*"')

def files(out):
    found = [p for p in sorted(out.rglob("*")) if p.is_file() and p.relative_to(out).parts[0] != ".pytc"]
    return {p.relative_to(out): OWN.sub(b"", p.read_bytes()) for p in found}

one, two = (files(Path(path)) for path in sys.argv[1:])
differing = sorted(str(path) for path in one.keys() | two.keys() if one.get(path) != two.get(path))
print(f"{sys.argv[2]}: {len(two)} files,", f"not the same: {differing}" if differing else "the same")
sys.exit(bool(differing) or not one)
EOF
}

"$python" "$here/case.py" "$folder/case"
predict="$pytc predict $folder/case/phantom.h5 --model $folder/case/model --keep-predictions"
$predict -o "$folder/plain"
start
sbatch --wait --array=0-$((shards - 1)) --output="$folder/jobs/%a.log" \
    --wrap "$predict -o $folder/of_shards --shard \$SLURM_ARRAY_TASK_ID/$shards"
tail -n 3 "$folder"/jobs/[0-9].log
"$pytc" status "$folder/of_shards"
same of_shards
$predict -o "$folder/of_dask" --dask slurm --workers 1
same of_dask
