#!/usr/bin/env bash
# From annotated frames to a scored synthetic data set.
#
#   examples/pipeline.sh TRAIN VAL [OUT]
#
# TRAIN and VAL are data sets: images/ with labels/ (or masks/, gt/), paired by file name. Each step can be stopped and
# started again with the same line. SIZE, MINUTES and N change the training size, its length, and the number of pairs;
# CLASSES is a label space (cadis, a class file), needed where VAL has classes that TRAIN has not.
set -euo pipefail

train=${1:?usage: $0 TRAIN VAL [OUT]}
val=${2:?usage: $0 TRAIN VAL [OUT]}
out=${3:-pipeline}
n=${N:-1000}
classes=${CLASSES:-auto}

surgaug train --data "$train" --val "$val" --classes "$classes" --out "$out/run" \
  --size "${SIZE:-64x64}" --minutes "${MINUTES:-60}"
surgaug augment-masks --masks "$train" --classes "$classes" --n "$n" --out "$out/masks" >/dev/null
surgaug synthesize --masks "$out/masks" --model "$out/run" --n "$n" --out "$out/synthetic" >/dev/null
surgaug score --real "$val" --synth "$out/synthetic" --classes "$classes" --json "$out/score.json"
