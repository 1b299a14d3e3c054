#!/usr/bin/env bash
# Asks what distillation gains once all is converged and tuned alike, and writes the tables; it can be stopped and goes on where it was.
#   AUDIOSET=FOLDER SPEECH=FOLDER benchmarks/study/arms.sh [RESULTS]     tune and train what is not answered yet (a night of two cores), then write
#   benchmarks/study/arms.sh --write [RESULTS]                           write tables and figures from what is stored
# AUDIOSET: the folder of AudioSet's shards, for `audioset` and `reels`. SPEECH: that of fsdd.npz, for `spoken-digits`. What is not named is left out.
set -euo pipefail
write_only=
if [[ ${1:-} == --write ]]; then write_only=1; shift; fi
results=${1:-results}
here=$(dirname "$0")
tables=$here/../results figures=$here/../../docs/figures
declare -A k=([audioset]=5 [spoken-digits]=10 [reels]=15)
declare -A folder=([audioset]=${AUDIOSET:-} [spoken-digits]=${SPEECH:-} [reels]=${AUDIOSET:-})
at_other_k=("student alone" teacher "student alone, random frames" "student alone, first frames" "student alone, middle frames"
    "student alone, last frames" "student alone, first-middle-last frames" "serial rep" "serial rep,ce" "serial rep,ce,pred")
at_few_frames=("student alone" "student alone, dropout of the input" "rep, pred" "rep, pred, dropout of the input")
fitted=(teacher "student alone" "rep, pred")

choose() { # ARMS NAME TRIALS [OPTION...]: trials of arms, unless what they chose stands here already
    local arms=$1 name=$2 trials=$tables/$3
    shift 3
    if [[ -f $here/$name.toml ]]; then return; fi
    distillbench tune "$here/$arms.toml" "$@" --workers auto --results "$results/$name-trials" --out "$results/$name.toml"
    mkdir -p "$(dirname "$trials")"
    cp "$results/$name.csv" "$trials"
    grep -v '^set."data.dir"' "$results/$name.toml" > "$here/$name.toml" # no path of this machine
}

ask() { # NAME: trials, then fresh seeds
    local name=$1 from=(--data-dir "${folder[$1]}")
    choose arms "$name" "$name/trials.csv" --data "$name" --k "${k[$name]}" "${from[@]}"
    distillbench sweep "$here/$name.toml" "${from[@]}" --workers auto --results "$results/$name"
    python "$here/fit.py" "$results/$name" --k "${k[$name]}" "${fitted[@]/#/--arm=}" --out "$tables/$name/fit.csv"
}

if [[ -z $write_only ]]; then
    for name in audioset spoken-digits reels; do
        if [[ -n ${folder[$name]} ]]; then ask "$name"; fi
    done
    if [[ -n ${SPEECH:-} ]]; then # does a student of few training strings gain? its limit and its patience are the same in steps
        distillbench sweep "$here/spoken-digits.toml" --data-dir "$SPEECH" "${fitted[@]/#/--arm=}" --seed 0:3 --set data.fraction=0.1 --epochs 1200 \
            --set training.patience=40 --workers auto --results "$results/spoken-digits-tenth"
        python "$here/fit.py" "$results/spoken-digits-tenth" --out "$tables/spoken-digits/fit_tenth.csv"
    fi
    if [[ -n ${AUDIOSET:-} ]]; then
        distillbench sweep "$here/audioset.toml" --data-dir "$AUDIOSET" --k 2,3 --seed 0:3 "${at_few_frames[@]/#/--arm=}" --workers auto \
            --results "$results/audioset"
        choose few_frames_arms few_frames audioset/few_frames_trials.csv --data-dir "$AUDIOSET"
        distillbench sweep "$here/few_frames.toml" --data-dir "$AUDIOSET" --workers auto --results "$results/audioset"
    fi
    distillbench sweep "$here/claims.toml" --workers auto --results "$results/claims"
    distillbench sweep "$here/claims.toml" --k 6,30 "${at_other_k[@]/#/--arm=}" --workers auto --results "$results/claims"
    distillbench sweep "$here/claims.toml" --arm "student alone" --arm "serial rep,ce,pred" --set training.precision=bf16 \
        --workers auto --results "$results/claims-bf16"
fi

asked=()
for name in audioset spoken-digits reels; do
    if [[ ! -d $results/$name ]]; then continue; fi
    asked+=(--results "$results/$name")
    mkdir -p "$tables/$name"
    distillbench report tuned-arms --results "$results/$name" --where "k=${k[$name]}|all" --format csv > "$tables/$name/arms.csv"
    distillbench report tuned-gains --results "$results/$name" --where "k=${k[$name]}|all" --out "$figures"
done
if [[ -d $results/audioset ]]; then
    distillbench report tuned-arms --results "$results/audioset" --where "k=2|3|all" --format csv > "$tables/audioset/few_frames.csv"
fi
if [[ -d $results/spoken-digits-tenth ]]; then
    distillbench report tuned-arms --results "$results/spoken-digits-tenth" --format csv > "$tables/spoken-digits/arms_tenth.csv"
fi
if ((${#asked[@]})); then
    distillbench compare --holm "$here/contrasts.toml" "${asked[@]}" --resamples 20000 --format csv |
        python "$here/join_contrasts.py" "$tables/contrasts.csv" # answers whose results lie elsewhere stay
fi
if [[ -d $results/claims ]]; then
    mkdir -p "$tables/claims"
    distillbench report claims --results "$results/claims" --format csv > "$tables/claims/claims.csv"
    distillbench leaderboard "$results/claims" --each --format csv > "$tables/claims/runs.csv"
    distillbench leaderboard "$results/claims-bf16" --each --format csv > "$tables/claims/runs-bf16.csv"
    : > "$tables/claims/tables.md"
    for table in table1 table2 table3; do
        distillbench report "$table" --results "$results/claims" --paper --format csv > "$tables/claims/$table.csv"
        { distillbench report "$table" --results "$results/claims" --paper --format markdown; echo; } >> "$tables/claims/tables.md"
    done
    for figure in budget figure2; do
        distillbench report "$figure" --results "$results/claims" --out "$figures"
    done
fi
rm -f "$figures"/*.svg # the documents show PNGs
