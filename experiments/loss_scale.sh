#!/usr/bin/env bash
# The tables of docs/results/loss-scale.md: bert with the loss summed over labels, and with its mean.
#
#   experiments/loss_scale.sh DATA OUT
#
# On the sample (46 labels), and on the first 2,000 training documents of Reuters-21578 with the next 500 to validate on;
# test documents are not used.
set -euo pipefail
data=$1 out=$2
threads=${THREADS:-1}
mkdir -p "$out"
sample=$(python -c 'import taxotext.sample as s; from pathlib import Path; print(Path(s.__file__).parent)')
python - "$data/reuters21578-apte90/train.jsonl.gz" "$out" <<'END'
import gzip, sys
lines = gzip.open(sys.argv[1], "rt", encoding="utf-8").readlines()
for name, part in (("few", lines[:2000]), ("next", lines[2000:2500])):
    with open(f"{sys.argv[2]}/{name}.jsonl", "w", encoding="utf-8") as file:
        file.writelines(part)
END
for scale in sum mean; do
    taxotext train --model bert --train "$out/few.jsonl" --validation "$out/next.jsonl" loss.scale=$scale \
        training.epochs=3 --threads "$threads" --output "$out/reuters-scale-$scale" --resume
    for seed in ${SEEDS:-13 14 15}; do
        taxotext train --model bert --train "$sample/train.jsonl" --validation "$sample/validation.jsonl" \
            --taxonomy "$sample/taxonomy.tsv" --names "$sample/names.tsv" loss.scale=$scale training.epochs=6 \
            --seed "$seed" --threads "$threads" --output "$out/scale-$scale-$seed" --resume
    done
done
