#!/usr/bin/env bash
# The table of docs/results/loss-scale.md: bert on the sample with the loss summed over labels, and with its mean.
#
#   experiments/loss_scale.sh OUT
set -euo pipefail
out=$1
mkdir -p "$out"
sample=$(python -c 'import taxotext.sample as s; from pathlib import Path; print(Path(s.__file__).parent)')
for seed in 13 14 15; do
    for scale in sum mean; do
        taxotext train --model bert --train "$sample/train.jsonl" --validation "$sample/validation.jsonl" \
            --taxonomy "$sample/taxonomy.tsv" --names "$sample/names.tsv" loss.scale=$scale training.epochs=6 \
            --seed $seed --threads "${THREADS:-1}" --output "$out/scale-$scale-$seed" --resume
    done
done
