#!/usr/bin/env bash
# The tables of docs/results/baselines.md and docs/results/long-texts.md.
#
#   experiments/baselines.sh DATA OUT [reuters-linear reuters-bert chemical-linear chemical-bert long-texts]
#
# DATA holds a folder for each corpus (train.jsonl.gz, test.jsonl.gz, dev.jsonl.gz and hierarchy.tsv where it has them).
# Every system is trained on the training split, selected and tuned on validation documents (a stratified tenth of the
# training split, cross-fitting, or the corpus's own dev split), and evaluated once on the test split. A command that was
# interrupted goes on when the script is started again; what is finished is not done twice.
set -euo pipefail
data=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- reuters-linear chemical-linear chemical-bert reuters-bert long-texts
mkdir -p "$out"
threads=${THREADS:-1}

# cell NAME TEST_FILE TRAIN_ARGUMENTS...: train, tune, evaluate; the figures go to OUT/NAME.json
cell() {
    local name=$1 test=$2
    shift 2
    [ ! -f "$out/$name.json" ] || return 0
    taxotext train "$@" --threads "$threads" --output "$out/$name" --resume
    taxotext tune "$out/$name" --threads "$threads"
    taxotext evaluate "$out/$name" "$test" --threads "$threads" --record --json >"$out/$name.json.part"
    mv "$out/$name.json.part" "$out/$name.json"
}

reuters=$data/reuters21578-apte90
chemical=$data/chemical-exposure
eurlex=$data/eurlex-eurovoc-domains
for table in "$@"; do
    case $table in
    reuters-linear)
        for seed in 13 14 15; do
            cell "reuters-linear-$seed" "$reuters/test.jsonl.gz" \
                --model linear --train "$reuters/train.jsonl.gz" --seed "$seed"
        done
        ;;
    reuters-bert)
        cell reuters-bert "$reuters/test.jsonl.gz" \
            --model bert --train "$reuters/train.jsonl.gz" training.epochs=6
        ;;
    chemical-linear)
        for seed in 13 14 15; do
            cell "chemical-linear-$seed" "$chemical/test.jsonl.gz" --model linear --seed "$seed" \
                --train "$chemical/train.jsonl.gz" --taxonomy "$chemical/hierarchy.tsv"
        done
        ;;
    chemical-bert)
        cell chemical-bert "$chemical/test.jsonl.gz" --model bert --train "$chemical/train.jsonl.gz" \
            --validation "$chemical/dev.jsonl.gz" --taxonomy "$chemical/hierarchy.tsv" \
            text.max_tokens=256 training.epochs=8 training.patience=8
        ;;
    long-texts)
        for mode in ${MODES:-truncate head_tail chunk_max chunk_mean}; do
            cell "long-texts-$mode" "$eurlex/test.jsonl.gz" --model bert --train "$eurlex/train.jsonl.gz" \
                --validation "$eurlex/dev.jsonl.gz" --taxonomy "$eurlex/hierarchy.tsv" \
                "text.long_text=$mode" text.max_tokens=128 text.max_chunks=4 training.epochs=5 training.batch_size=8
        done
        cell long-texts-linear "$eurlex/test.jsonl.gz" --model linear \
            --train "$eurlex/train.jsonl.gz" --taxonomy "$eurlex/hierarchy.tsv"
        ;;
    *)
        echo "$0: no table is called '$table'" >&2
        exit 2
        ;;
    esac
done
