#!/usr/bin/env bash
# From a few annotated frames to a segmentation network trained on real and synthetic ones, and whether it is better for it.
#
#   examples/segmentation.sh [DATA] [OUT]
#
# DATA is a data set with images and label maps (CaDIS, say, with CLASSES=cadis); rendered phantom scenes without it.
# OUT (segmentation) gets real/ and mixed/, two training sets whose validation frames are the same real ones, and
# miou.md: the mIoU of networks trained on each. The same line goes on where it was stopped.
#
# By environment: SIZE, TRAIN and VAL (frames at most), CLASSES, MINUTES (of training the generator), MODEL (one trained
# already, on training frames alone), N (synthetic images), RATIO (of these, for each real training frame),
# SEGMENTATION (flags of segmentation.py). The defaults want a GPU for some hours; a try on a CPU:
#
#   SIZE=64x64 MINUTES=10 SEGMENTATION="--steps 300" examples/segmentation.sh
set -euo pipefail

data=${1:-phantom}
out=${2:-segmentation}
size=${SIZE:-128x128}
here=$(cd "$(dirname "$0")" && pwd)
read -ra segmentation <<<"${SEGMENTATION:-}"

# 1. Training and validation frames, apart by video, at one size.
python "$here/../benchmarks/frames.py" "$data" "$out/data" --train "${TRAIN:-200}" --val "${VAL:-100}" \
  --size "$size" --classes "${CLASSES:-auto}"
classes=(--classes "$out/data/classes.json")

# 2. The generator, and label maps for it, from training frames alone.
model=${MODEL:-$out/run}
[[ -n ${MODEL:-} ]] || surgaug train --data "$out/data/train" --val "$out/data/val" "${classes[@]}" --size "$size" \
  --minutes "${MINUTES:-60}" --out "$model"
n=${N:-$((2 * $(find "$out/data/train/images" -name '*.png' | wc -l)))}
surgaug augment-masks --masks "$out/data/train" "${classes[@]}" --n "$n" --out "$out/masks" >/dev/null
surgaug synthesize --masks "$out/masks" --model "$model" --n "$n" --out "$out/synthetic" >/dev/null

# 3. Two training sets, and a network trained on each.
export=(surgaug export --data "$out/data" "${classes[@]}" --layout hf)
"${export[@]}" --out "$out/real"
"${export[@]}" --synth "$out/synthetic" --ratio "${RATIO:-1}" --out "$out/mixed"
python "$here/segmentation.py" "$out/real" "$out/mixed" --size "$size" ${segmentation[@]+"${segmentation[@]}"} |
  tee "$out/miou.md"
