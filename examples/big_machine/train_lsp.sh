#!/usr/bin/env bash
# The paper's network, six stages at 368x368, on Leeds Sports Pose and its extension, on one GPU:
#
#     LSP=/data/lsp examples/big_machine/train_lsp.sh
#
# LSP holds lsp_dataset/ and lspet_dataset/. Stopped at any time, the same command goes on: what is
# prepared and packed stays, and training continues from its last checkpoint. Every setting below can
# be given like LSP; what follows the script's name goes to `keras-cpm train`. PEOPLE=8 takes only so
# many of each split, to try it.
#
# RECIPE=release trains and tests as the paper did: SGD with its steps and first weights, parts
# without a label as absent, seven scales (`--protocol lsp`). RECIPE=modern, the default, has AdamW,
# a moving average of the weights and the mirror image, and is done sooner.
set -euo pipefail

: "${LSP:?must be the folder that holds lsp_dataset/ and lspet_dataset/}"
OUT=${OUT:-runs/big_lsp}
RECIPE=${RECIPE:-modern}
STAGES=${STAGES:-6} WIDTH=${WIDTH:-128} BOX=${BOX:-368}
if [ "$RECIPE" = release ]; then
    # the file of the released weights names 395,000 steps: 575 epochs of 11,000 people
    BATCH=${BATCH:-16} EPOCHS=${EPOCHS:-575} PRECISION=${PRECISION:-float32}
    SETTINGS=(--shift 0) TEST=(--protocol lsp)
else
    BATCH=${BATCH:-32} EPOCHS=${EPOCHS:-60} PRECISION=${PRECISION:-mixed_bfloat16}
    # the paper's stages have no normalisation: a lower rate than that of the light network
    SETTINGS=(--learning-rate "${RATE:-2e-4}" --shift 0.05) TEST=(--flip)
fi
# of the network box in a packed photograph: 1.5 times the box leaves room to zoom in
PACKED=${PACKED:-552}
# hours are rented: training ends after the last epoch that fits; 0 is no limit
MINUTES=${MINUTES:-0}
KERAS_CPM=${KERAS_CPM:-keras-cpm}
# XLA compiles the whole step; "tensorflow" runs the same commands
export KERAS_BACKEND=${KERAS_BACKEND:-jax}

prepare() { # SPLIT FILE
    [ -f "$2" ] || "$KERAS_CPM" prepare lsp "$LSP" "$2" --split "$1" ${PEOPLE:+--last "$PEOPLE"}
}

mkdir -p "$OUT"
prepare train "$OUT/train.jsonl"
prepare extended "$OUT/extended.jsonl"
prepare test "$OUT/test.jsonl"

[ -f "$OUT/pack/records.jsonl" ] ||
    "$KERAS_CPM" pack "$OUT/train.jsonl" "$OUT/extended.jsonl" --out "$OUT/pack" --size "$PACKED"

"$KERAS_CPM" train "$OUT/pack/records.jsonl" --out "$OUT/model" --recipe "$RECIPE" \
    --stages "$STAGES" --backbone cpm --stage-block classic --width "$WIDTH" --box-size "$BOX" \
    --batch-size "$BATCH" --epochs "$EPOCHS" --precision "$PRECISION" \
    --max-minutes "$MINUTES" --no-deterministic "${SETTINGS[@]}" "$@"

"$KERAS_CPM" evaluate "$OUT/model" "$OUT/test.jsonl" "${TEST[@]}"
