#!/usr/bin/env bash
# The same synthetic data set made by several processes, a shard each: on one machine here, on a cluster by giving
# every node its own I of --shard I/N. What sample K shows does not depend on which process makes it.
#
#   examples/shards.sh MASKS MODEL [OUT] [SHARDS]
#
# By environment: N (images, 1000), CLASSES (the label space of MASKS where nothing beside them says it; see surgaug
# synthesize --help). The same with GNU parallel, which spreads over machines with --sshlogin:
#
#   seq 4 | parallel surgaug synthesize --masks MASKS --model MODEL --n 1000 --out OUT --shard {}/4
set -euo pipefail

masks=${1:?usage: $0 MASKS MODEL [OUT] [SHARDS]}
model=${2:?usage: $0 MASKS MODEL [OUT] [SHARDS]}
out=${3:-synthetic}
shards=${4:-2}

for shard in $(seq "$shards"); do
  surgaug synthesize --masks "$masks" --model "$model" ${CLASSES:+--classes "$CLASSES"} --n "${N:-1000}" \
    --out "$out" --shard "$shard/$shards" >/dev/null &
  jobs[shard]=$!
done
for job in "${jobs[@]}"; do
  wait "$job"
done
ls "$out/manifest.jsonl"
