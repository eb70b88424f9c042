#!/usr/bin/env bash
# Rare classes more often: new label maps with quotas and without, images of both, and how each class fares.
#
#   examples/rare_classes.sh [DATA] [OUT]
#
# DATA is a data set with images and label maps (CaDIS, say, with CLASSES=cadis); rendered phantom scenes without it.
# As many maps are made with quotas as without. OUT (rare-classes) gets plain/ and balanced/ with masks and frames, and
# score.json. The same line goes on where it was stopped.
#
# By environment: SIZE, TRAIN and VAL (frames at most), CLASSES, MINUTES (of training the generator), MODEL (one trained
# already, on training frames alone), N (synthetic images), BALANCE (a share: what is in fewer maps comes more often; or a
# file of quotas), SCORE (flags of surgaug score: "--utility --minutes 60" trains segmentation networks with the synthetic
# frames and without, and tests each class on the real validation frames).
set -euo pipefail

data=${1:-phantom}
out=${2:-rare-classes}
size=${SIZE:-128x128}
n=${N:-1000}
here=$(cd "$(dirname "$0")" && pwd)

python "$here/../benchmarks/frames.py" "$data" "$out/data" --train "${TRAIN:-300}" --val "${VAL:-100}" \
  --size "$size" --classes "${CLASSES:-auto}"
train=$out/data/train
classes=(--classes "$out/data/classes.json")

model=${MODEL:-$out/run}
[[ -n ${MODEL:-} ]] || surgaug train --data "$train" --val "$out/data/val" "${classes[@]}" --size "$size" \
  --minutes "${MINUTES:-60}" --out "$model"

# The table "Classes" of each shows in how many maps a class is, before and after.
for set in plain balanced; do
  quotas=()
  [[ $set == balanced ]] && quotas=(--balance "${BALANCE:-0.1}")
  surgaug augment-masks --masks "$train" "${classes[@]}" --n "$n" ${quotas[@]+"${quotas[@]}"} --out "$out/$set/masks" >/dev/null
  surgaug synthesize --masks "$out/$set/masks" --model "$model" --n "$n" --out "$out/$set/frames" >/dev/null
done

# How each class looks (class_frechet), and whether a network that learnt from real frames finds it there (miou).
read -ra more <<<"${SCORE:-}"
surgaug score --real "$out/data/val" --train "$train" "${classes[@]}" --metrics frechet,class_frechet,balance,miou \
  --synth "$out/plain/frames" --synth "$out/balanced/frames" --json "$out/score.json" ${more[@]+"${more[@]}"}

# Class by class, the rarest first: in how many frames, and how well the labels hold.
python - "$out/score.json" <<'PY'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    plain, balanced = json.load(file)["rows"]
held = [{c["id"]: c["iou"]["value"] for c in row["faithfulness"]["classes"]} for row in (plain, balanced)]
shares = {c["id"]: c for c in balanced["classes"]}
print("| class | real frames % | plain % | balanced % | IoU of labels, plain | balanced |")
print("|---|---|---|---|---|---|")
for c in sorted(plain["classes"], key=lambda c: c["real_frames"]):
    percent = [c["real_frames"], c["synth_frames"], shares[c["id"]]["synth_frames"]]
    ious = ["-" if iou.get(c["id"]) is None else f"{iou[c['id']]:.3f}" for iou in held]
    print(f"| {c['name']} | " + " | ".join([*(f"{100 * p:.1f}" for p in percent), *ious]) + " |")
PY
