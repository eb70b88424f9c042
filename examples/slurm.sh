#!/usr/bin/env bash
# A synthetic data set made by a SLURM job array, a shard a task, into one folder that all nodes see.
#
#   N=5000 sbatch --array=1-8 examples/slurm.sh MASKS MODEL [OUT]
#
# The last task to finish joins the manifest. After a task died, or was stopped at its time limit, submit the same line
# again: it goes on, and the others find their images there and end at once. To submit some tasks alone, say how many
# there are in all: SHARDS=8 N=5000 sbatch --array=3,5 examples/slurm.sh MASKS MODEL [OUT]. With several GPUs on a node,
# --gpus-per-task says how many, and torchrun shares a task's shard between them. CLASSES: the label space of MASKS
# where nothing beside them says it.
#SBATCH --job-name=surgaug
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=surgaug-%A-%a.log
set -euo pipefail

masks=${1:?usage: $0 MASKS MODEL [OUT]}
model=${2:?usage: $0 MASKS MODEL [OUT]}
out=${3:-synthetic}
shard="${SLURM_ARRAY_TASK_ID:?submit with sbatch --array=1-COUNT}/${SHARDS:-${SLURM_ARRAY_TASK_COUNT:?}}"
gpus=${SLURM_GPUS_PER_TASK:-1}

launch=(surgaug)
if [[ $gpus =~ ^[0-9]+$ ]] && ((gpus > 1)); then
  launch=(torchrun --standalone --nproc-per-node "$gpus" -m -- surgaug)
fi
# In the background, so that the shell passes SIGTERM on two minutes before the limit: the batch in hand is finished.
"${launch[@]}" synthesize --masks "$masks" --model "$model" ${CLASSES:+--classes "$CLASSES"} --n "${N:-5000}" \
  --out "$out" --shard "$shard" >/dev/null &
trap 'kill -TERM $!' TERM
wait $! || wait $!
