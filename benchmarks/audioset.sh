#!/usr/bin/env bash
# Teacher, scratch-5, serial-5 and parallel-5 on AudioSet's balanced training set (cell 256, 6 epochs, blocks of 5: the data set's recipe).
#   benchmarks/audioset.sh FOLDER_OF_SHARDS [RESULTS]
set -euo pipefail
shards=$1 results=${2:-results/audioset}
for schedule in teacher scratch serial parallel; do
    distillbench run --data audioset --data-dir "$shards" --selector uniform --k 5 --loss rep,ce,pred --schedule "$schedule" --results "$results"
done
distillbench leaderboard "$results" --format markdown
