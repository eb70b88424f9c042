#!/usr/bin/env bash
# Both comparisons of the thesis on your own data: the methods side by side, and the sampling steps of the published
# diffusion model (preset thesis: SR3's U-Net with SPADE in the decoder, T = 2000, eps, linear schedule, DDIM).
#
#   examples/reproduce_thesis.sh [DATA] [OUT]
#
# DATA is a data set with images and label maps (CaDIS, say, with CLASSES=cadis); rendered phantom scenes without it.
# OUT (thesis) gets methods.json and steps.json with a picture each, methods.png and steps.png; the tables go to the
# screen. The same line goes on where it was stopped. By environment: SIZE, TRAIN and VAL (frames at most), MINUTES (of
# training, each method) or UPDATES (optimizer steps), THESIS and BASELINES (presets), BATCH, STEPS, METHODS_STEPS, N
# (pictures), CLASSES. The defaults want a GPU for a day; a try on a CPU:
#
#   SIZE=64x64 MINUTES=10 THESIS=tiny BASELINES=tiny STEPS="100 20 4" METHODS_STEPS=20 examples/reproduce_thesis.sh
set -euo pipefail

data=${1:-phantom}
out=${2:-thesis}
size=${SIZE:-256x448}
steps=${STEPS:-2000 80 40 20 10 4}
here=$(cd "$(dirname "$0")" && pwd)
length=(--minutes "${MINUTES:-300}")
[[ -n ${UPDATES:-} ]] && length=(--steps "$UPDATES")
[[ -n ${BATCH:-} ]] && length+=(--batch "$BATCH")

python "$here/../benchmarks/frames.py" "$data" "$out/data" --train "${TRAIN:-3490}" --val "${VAL:-533}" \
  --size "$size" --classes "${CLASSES:-auto}"
train=(--data "$out/data/train" --val "$out/data/val" --classes "$out/data/classes.json" --size "$size")
synthesis=(--masks "$out/data/val" --classes "$out/data/classes.json" --n "${N:-${VAL:-533}}")
score=(--real "$out/data/val" --classes "$out/data/classes.json" --metrics psnr,ssim,frechet,kid)

# Table 2: methods.
folders=() columns=()
for model in pix2pix cyclegan spade diffusion; do
  preset=${BASELINES:-base} sampling=()
  if [[ $model == diffusion ]]; then
    preset=${THESIS:-thesis} sampling=(--sampler ddim --steps "${METHODS_STEPS:-40}")
  fi
  surgaug train "${train[@]}" --model "$model" --preset "$preset" "${length[@]}" --out "$out/runs/$model"
  surgaug synthesize "${synthesis[@]}" --model "$out/runs/$model" ${sampling[@]+"${sampling[@]}"} --out "$out/methods/$model" >/dev/null
  folders+=(--synth "$out/methods/$model") columns+=("$model=$out/methods/$model")
done
surgaug score "${score[@]}" "${folders[@]}" --json "$out/methods.json"
python "$here/../benchmarks/side_by_side.py" "$out/methods.png" "${columns[@]}" --real "$out/data/val" --title "Methods"

# Table 1: sampling steps of the diffusion model.
folders=() columns=()
for n in $steps; do
  surgaug synthesize "${synthesis[@]}" --model "$out/runs/diffusion" --sampler ddim --steps "$n" --out "$out/steps/$n" >/dev/null
  folders+=(--synth "$out/steps/$n") columns+=("$n steps=$out/steps/$n")
done
surgaug score "${score[@]}" "${folders[@]}" --json "$out/steps.json"
python "$here/../benchmarks/side_by_side.py" "$out/steps.png" "${columns[@]}" --real "$out/data/val" --title "DDIM steps"
echo "$out/methods.json" "$out/methods.png" "$out/steps.json" "$out/steps.png"
