#!/usr/bin/env bash
# What export keeps of four students: each is trained on digits, exported to ONNX in float32 and in 8 bits, and both files are evaluated
# and timed in onnxruntime. About ten minutes on two cores; runs that are stored are not trained again.
#   benchmarks/study/exports.sh [RESULTS]
set -euo pipefail
results=${1:-results/exports}
table=$(dirname "$0")/../results/exports.csv
mkdir -p "$results/files"
export_both() { # NAME OPTION...
    local name=$1 run
    shift
    run=$(distillbench run --data digits --schedule scratch --selector uniform --train-selector random --k 15 \
        --set training.epochs=60 --set training.patience=3 --set training.batch_size=256 \
        --set training.decay=0.95 --set training.decay_examples=4000000 --results "$results" "$@" | tail -n 1)
    for to in onnx onnx-int8; do
        distillbench export "$run" --to "$to" --out "$results/files/$name-$to.onnx" --row
    done
}
export_both hrnn --student hrnn --loss ce --learning-rate 0.01
export_both netvlad --student netvlad --loss ce --learning-rate 0.01
export_both transformer --student transformer --loss ce --learning-rate 0.002 --set student.size=128 --set student.heads=4
export_both frameexit --student frameexit --loss exits-ce --exit-policy margin --learning-rate 0.005 --set student.size=128
distillbench leaderboard "$results" --each --format csv > "$table"
