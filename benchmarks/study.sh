#!/usr/bin/env bash
# The whole study on digits, and its tables and figures; it can be stopped and goes on where it was.
#   benchmarks/study.sh [RESULTS [SEEDS]]      train what is not answered yet (hours on two cores), then write
#   benchmarks/study.sh --write [RESULTS]      write tables and figures from what is stored
set -euo pipefail
write_only=
if [[ ${1:-} == --write ]]; then write_only=1; shift; fi
results=${1:-results/digits} seeds=${2:-0:5}
here=$(dirname "$0")
if [[ -z $write_only ]]; then
    for question in table1 controls table2 table3 figure2; do
        distillbench sweep "$here/paper/$question.toml" --data digits --seed "$seeds" --results "$results"
    done
    distillbench sweep "$here/paper/figure3.toml" --data digits --results "$results"
    # Times are taken with nothing beside them.
    distillbench sweep "$here/paper/table4.toml" --data digits --workers 1 --results "$results-alone"
fi
tables=$here/results/digits figures=$here/../docs/figures
mkdir -p "$tables" "$figures"
for table in table1 table2 table3 controls; do
    distillbench report "$table" "$results" --paper --format csv > "$tables/$table.csv"
done
distillbench report table4 "$results-alone" --paper --format csv > "$tables/table4.csv"
distillbench leaderboard "$results" --each --format csv > "$tables/runs.csv"
for figure in figure2 figure3 pareto budget; do
    distillbench report "$figure" "$results" --out "$figures"
done
