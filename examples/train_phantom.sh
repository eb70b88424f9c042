#!/usr/bin/env bash
# A model like the one that ships: phantom scenes rendered from seed 0, both stages of the tiny preset, one CPU core.
#
#   examples/train_phantom.sh [OUT] [MINUTES]
#
# Its first stage makes pictures of 96x168, that of the shipped one 64x112. docs/model-card.md says how that was trained.
set -euo pipefail
out=${1:-phantom-model}
minutes=${2:-120}

python - "$out/frames" <<'PY'
import sys
from pathlib import Path

from surgaug.phantom import write_cadis
from surgaug.runtime.feedback import Silent

write_cadis(Path(sys.argv[1]), 2000, (256, 448), 0, Silent())
PY
surgaug train --data "$out/frames" --classes cadis --size 256x448 --init none --minutes "$minutes" --out "$out/run" \
    --set cascade.share=0.75

# Half precision halves the file; sampling computes in float32 all the same.
python - "$out/run/last.safetensors" "$out/phantom.safetensors" <<'PY'
import sys
from pathlib import Path

from surgaug.models.checkpoint import halve

halve(Path(sys.argv[1]), Path(sys.argv[2]))
PY
echo "$out/phantom.safetensors"
