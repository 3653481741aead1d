#!/usr/bin/env bash
# The two networks for photographs of anyone: one like `cpm-light`, from nothing, and one that goes on
# from `cpm-light-person`:
#
#     LSP=/data/lsp MPII=mpii.jsonl COCO=coco.jsonl NOBODY=/data/nobody examples/everyday/train.sh
#
# LSP holds lsp_dataset/ and lspet_dataset/; MPII and COCO are files of records, as `keras-cpm
# prepare` writes them; NOBODY is a folder of photographs without people. 200 people of each file,
# 150 photographs of nobody and the last tenth of LSP's training photographs are kept for looking.
# Stopped at any time, the same command goes on: what is prepared stays, and training continues from
# its last checkpoint. PEOPLE=8 takes only so many of each, to try it; what follows the script's name
# goes to both trainings.
set -euo pipefail

: "${LSP:?must be the folder that holds lsp_dataset/ and lspet_dataset/}"
: "${MPII:?must be a file of records}" "${COCO:?must be a file of records}"
: "${NOBODY:?must be a folder of photographs without people}"
OUT=${OUT:-runs/everyday}
# ten minutes an epoch on two cores, which have bfloat16
EPOCHS=${EPOCHS:-60} WIDTH=${WIDTH:-128} BATCH=${BATCH:-16} PRECISION=${PRECISION:-mixed_bfloat16}
PERSON_EPOCHS=${PERSON_EPOCHS:-16}
KERAS_CPM=${KERAS_CPM:-keras-cpm}

prepare() { # FILE KIND ROOT OPTIONS...
    local file=$OUT/$1
    shift
    [ -f "$file" ] || "$KERAS_CPM" prepare "$1" "$2" "$file" "${@:3}"
}

few() { echo "${PEOPLE:+--last $PEOPLE}"; }

mkdir -p "$OUT"
LAST=${PEOPLE:-900} HELD=${PEOPLE:+2}
prepare lsp.jsonl lsp "$LSP" --split train --last "$LAST"
prepare lsp.held.jsonl lsp "$LSP" --split train --first $((LAST + 1)) --last $((LAST + LAST / 9 + 1))
prepare lspet.jsonl lsp "$LSP" --split extended --last "${PEOPLE:-9500}"
# shellcheck disable=SC2046 # words
prepare mpii.jsonl records "$MPII" --hold-out "${HELD:-200}" $(few)
# shellcheck disable=SC2046
prepare coco.jsonl records "$COCO" --hold-out "${HELD:-200}" $(few)
# shellcheck disable=SC2046
prepare nobody.jsonl nobody "$NOBODY" --hold-out "${HELD:-150}" $(few)
prepare scenes.jsonl scenes "$OUT/coco.jsonl"
prepare scenes.held.jsonl scenes "$OUT/coco.held.jsonl"
prepare groups.jsonl groups "$OUT/lsp.jsonl" --count "${PEOPLE:-2000}"

held=(--validation "$OUT/lsp.held.jsonl" --validation "$OUT/mpii.held.jsonl"
    --validation "$OUT/coco.held.jsonl")
"$KERAS_CPM" train "$OUT"/{lsp,lspet,mpii,coco,nobody}.jsonl "${held[@]}" --out "$OUT/model" \
    --weight "$OUT/lsp.jsonl" 2 --weight "$OUT/mpii.jsonl" 3 --weight "$OUT/coco.jsonl" 3 \
    --weight "$OUT/nobody.jsonl" 3 \
    --backbone lean --stage-block nested --width "$WIDTH" --box-size 192 --person-height 150 \
    --part-sigma 10 --center-sigma 21 --epochs "$EPOCHS" --batch-size "$BATCH" \
    --learning-rate 1.2e-3 --rotation-degrees 30 --scale-range 0.7 1.35 --shift 0.05 \
    --half-body-probability 0.15 --cut-probability 0.12 --blur 1.0 \
    --precision "$PRECISION" --no-deterministic "$@"

"$KERAS_CPM" train "$OUT"/{scenes,groups}.jsonl --validation "$OUT/scenes.held.jsonl" \
    --out "$OUT/person" --init cpm-light-person --epochs "$PERSON_EPOCHS" --batch-size "$BATCH" \
    --learning-rate 1e-3 --rotation-degrees 15 --scale-range 0.85 1.18 --color 0.2 \
    --precision "$PRECISION" --no-deterministic "$@"

for name in lsp mpii coco; do
    "$KERAS_CPM" evaluate "$OUT/model" "$OUT/$name.held.jsonl" --flip
done
