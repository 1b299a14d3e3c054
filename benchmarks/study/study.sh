#!/usr/bin/env bash
# The whole study on digits, and its tables and figures; it can be stopped and goes on where it was.
#   benchmarks/study/study.sh [RESULTS [SEEDS]]      train what is not answered yet (hours on two cores), then write
#   benchmarks/study/study.sh --write [RESULTS]      write tables and figures from what is stored
# Beside RESULTS it keeps RESULTS-alone (times, nothing beside them), RESULTS-longer and RESULTS-bf16.
set -euo pipefail
write_only=
if [[ ${1:-} == --write ]]; then write_only=1; shift; fi
results=${1:-results/digits} seeds=${2:-0:5}
here=$(dirname "$0")
# Twenty epochs for every network, whether it has converged or not: these tables compare at equal epochs.
equal=(--set training.epochs=20 --set training.patience=0 --set training.batch_size=256 --set training.learning_rate=0.003
    --set training.decay=0.95 --set training.decay_examples=4000000)
if [[ -z $write_only ]]; then
    for question in table1 controls table2 table3 figure2; do
        distillbench sweep "$question" --data digits "${equal[@]}" --seed "$seeds" --results "$results"
    done
    distillbench sweep figure3 --data digits "${equal[@]}" --results "$results"
    distillbench sweep "$here/longer.toml" "${equal[@]:2}" --results "$results-longer"
    distillbench sweep "$here/precision.toml" "${equal[@]}" --results "$results-bf16"
    distillbench sweep table4 --data digits "${equal[@]}" --workers 1 --results "$results-alone"
fi
tables=$here/../results/digits figures=$here/../../docs/figures
mkdir -p "$tables" "$figures"
: > "$tables/tables.md"
write() { # NAME RESULTS [OPTION...]
    local name=$1 from=$2
    shift 2
    distillbench report "$name" --results "$from" "$@" --paper --format csv > "$tables/$name.csv"
    { distillbench report "$name" --results "$from" "$@" --paper --format markdown; echo; } >> "$tables/tables.md"
}
for table in table1 table2 table3; do write "$table" "$results"; done
write table4 "$results-alone"
write controls "$results" --where "k=6|15|30"
distillbench leaderboard "$results" --each --format csv > "$tables/runs.csv"
distillbench leaderboard "$results-longer" --each --format csv > "$tables/runs-longer.csv"
distillbench leaderboard "$results-bf16" --each --format csv > "$tables/runs-bf16.csv"
distillbench report claims --results "$results" --format csv --out "$tables"
for figure in figure2 figure3 pareto budget; do
    distillbench report "$figure" --results "$results" --out "$figures"
done
rm -f "$figures"/*.svg # the documents show PNGs
