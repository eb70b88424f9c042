#!/usr/bin/env bash
# Both comparisons of the thesis on your own data: the sampling steps of its diffusion model (table 1), and the methods
# side by side (table 2). Preset thesis is that model: SR3's U-Net with SPADE in the decoder, T = 2000, eps, cosine.
#
#   examples/reproduce_thesis.sh [DATA] [OUT]
#
# DATA is a data set with images and label maps; rendered phantom scenes without it. CaDIS as published, or any part of it
# in its layout, is one line, and its own split counts. Models of table 2 are trained on its 3,490 good training frames
# (without the 60 that are known to be mislabelled), the one of table 1 on 533 of these; both are tested on 533 test frames.
#
#   INCEPTION=inception.pth VGG=vgg19.pth examples/reproduce_thesis.sh CaDIS
#
# OUT (thesis) gets steps.json and methods.json with a picture each, steps.png and methods.png; the tables go to the
# screen. The same line goes on where it was stopped. By environment: INCEPTION (weights for FID, left out without; see
# surgaug score --help) and VGG (torchvision's vgg19, for the perceptual loss of SPADE, pix2pixHD and CLADE, left out
# without), MODELS (of pix2pix pix2pixhd cyclegan spade clade sdm diffusion), SIZE, TRAIN, SUBSET, VAL and TEST (frames at
# most), MINUTES (of training, each method) or UPDATES (optimizer steps), SEED (0), THESIS, SDM and BASELINES (presets),
# BATCH, STEPS, METHODS_STEPS, N (pictures), CLASSES. The defaults want a GPU for days; a try on a CPU:
#
#   SIZE=64x112 MINUTES=10 THESIS=thesis-tiny BASELINES=tiny STEPS="100 20 4" METHODS_STEPS=20 N=40 \
#       examples/reproduce_thesis.sh
set -euo pipefail

data=${1:-phantom}
out=${2:-thesis}
size=${SIZE:-256x448}
steps=${STEPS:-2000 80 40 20 10 4}
here=$(cd "$(dirname "$0")" && pwd)
length=(--minutes "${MINUTES:-300}")
[[ -n ${UPDATES:-} ]] && length=(--steps "$UPDATES")
[[ -n ${BATCH:-} ]] && length+=(--batch "$BATCH")

python "$here/../benchmarks/frames.py" "$data" "$out/data" --train "${TRAIN:-3490}" --val "${VAL:-100}" \
  --test "${TEST:-533}" --subset "${SUBSET:-533}" --size "$size" --classes "${CLASSES:-auto}" --exclude-known-errors
test=$out/data/test
[[ -d $test ]] || test=$out/data/val # of a data set without test frames
count() { find "$1/labels" -name '*.png' | wc -l; }
train=(--val "$out/data/val" --classes "$out/data/classes.json" --size "$size" --seed "${SEED:-0}")
synthesis=(--masks "$test" --classes "$out/data/classes.json" --n "${N:-$(count "$test")}")
score=(--real "$test" --classes "$out/data/classes.json")
if [[ -n ${INCEPTION:-} ]]; then
  score+=(--metrics psnr,ssim,fid,frechet,kid --inception-weights "$INCEPTION")
else
  score+=(--metrics psnr,ssim,frechet,kid)
fi

# A method's training on the frames in $2, into $3.
learn() {
  local options=(--model "$1" --preset "${BASELINES:-base}")
  case $1 in
    diffusion) options=(--preset "${THESIS:-thesis}") ;;
    sdm) options=(--preset "${SDM:-sdm}") ;;
    spade | pix2pixhd | clade) [[ -n ${VGG:-} ]] && options+=(--set "adversary.vgg=$VGG") ;;
  esac
  surgaug train --data "$2" "${train[@]}" "${options[@]}" "${length[@]}" --out "$3"
}

# Table 2: methods.
folders=() columns=()
for model in ${MODELS:-pix2pix cyclegan spade diffusion}; do
  sampling=()
  [[ $model == diffusion || $model == sdm ]] && sampling=(--sampler ddim --steps "${METHODS_STEPS:-40}")
  learn "$model" "$out/data/train" "$out/runs/$model"
  surgaug synthesize "${synthesis[@]}" --model "$out/runs/$model" ${sampling[@]+"${sampling[@]}"} --out "$out/methods/$model" >/dev/null
  folders+=(--synth "$out/methods/$model") columns+=("$model=$out/methods/$model")
done
surgaug score "${score[@]}" "${folders[@]}" --json "$out/methods.json"
python "$here/../benchmarks/side_by_side.py" "$out/methods.png" "${columns[@]}" --real "$test" --title "Methods"

# Table 1: sampling steps of the diffusion model, of the smaller set where there is one.
few=$out/runs/diffusion-subset
if [[ -d $out/runs/diffusion && $(count "$out/data/subset") == "$(count "$out/data/train")" ]]; then
  few=$out/runs/diffusion
else
  learn diffusion "$out/data/subset" "$few"
fi
folders=() columns=()
for n in $steps; do
  surgaug synthesize "${synthesis[@]}" --model "$few" --sampler ddim --steps "$n" --out "$out/steps/$n" >/dev/null
  folders+=(--synth "$out/steps/$n") columns+=("$n steps=$out/steps/$n")
done
surgaug score "${score[@]}" "${folders[@]}" --json "$out/steps.json"
python "$here/../benchmarks/side_by_side.py" "$out/steps.png" "${columns[@]}" --real "$test" --title "DDIM steps"
echo "$out/methods.json" "$out/methods.png" "$out/steps.json" "$out/steps.png"
