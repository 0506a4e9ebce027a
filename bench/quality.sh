#!/usr/bin/env bash
# Recommendation quality without training, on public data: ranklet-fit on MovieLens-1M, MovieLens-100K, MovieLens latest
# small and Amazon gift cards. Nothing of the data is in the repository: $RANKLET_ASSETS names a folder that has datasets/.
# Run from the project's root:  bash bench/quality.sh ENCODER.gguf [PATH/TO/ranklet-fit]
set -euo pipefail
encoder=${1:?the model file of an encoder of English texts, all-MiniLM-L6-v2 say}
fit=${2:-build/release/cli/ranklet-fit}
data=${RANKLET_ASSETS:-../shared/assets}/datasets
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

run() {
    local name=$1; shift
    printf '\n=== %s\n' "$name"
    "$fit" --encoder "$encoder" "$@"
}
if [ -e "$data/ml-1m/sequences.tsv" ]; then
    # A user and the items in the order of time, in a line: an event each, without a time of its own.
    awk -F '[\t ]' 'BEGIN { print "user\titem" } { for (i = 2; i <= NF; ++i) print $1 "\t" $i }' \
        "$data/ml-1m/sequences.tsv" > "$folder/1m.tsv"
    awk -F '\t' 'NR == FNR { met[$2]; next } FNR == 1 { print "item\ttitle\tgenres" }
        { split($0, part, "::"); gsub(/\|/, " ", part[3]); if (part[1] in met) print part[1] "\t" part[2] "\t" part[3] }' \
        "$folder/1m.tsv" "$data/ml-1m/movies.dat" > "$folder/1m-items.tsv"
    run "MovieLens-1M" --events "$folder/1m.tsv" --items "$folder/1m-items.tsv" --text title,genres
else
    echo "MovieLens-1M is not there: left out"
fi
if [ -e "$data/ml-100k/ml-100k.inter" ]; then
    run "MovieLens-100K" --events "$data/ml-100k/ml-100k.inter" --items "$data/ml-100k/ml-100k.item" \
        --text movie_title,class
else
    echo "MovieLens-100K is not there: left out"
fi
if [ -e "$data/ml-latest-small/ratings.csv" ]; then
    run "MovieLens latest small" --events "$data/ml-latest-small/ratings.csv" --items "$data/ml-latest-small/movies.csv" \
        --text title,genres
else
    echo "MovieLens latest small is not there: left out"
fi
if [ -e "$data/amazon-gift-cards/Gift_Cards_5.json" ]; then
    python3 - "$data/amazon-gift-cards" "$folder" <<'PYTHON'
import csv, json, sys
source, folder = sys.argv[1:]
events = [json.loads(line) for line in open(f"{source}/Gift_Cards_5.json", encoding="utf-8")]
met = {event["asin"] for event in events}
with open(f"{folder}/gifts.csv", "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file)
    rows.writerow(["reviewerID", "asin", "overall", "unixReviewTime"])
    rows.writerows([e["reviewerID"], e["asin"], e["overall"], e["unixReviewTime"]] for e in events)
with open(f"{folder}/gift-items.csv", "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file)
    rows.writerow(["asin", "title", "description"])
    for line in open(f"{source}/meta_Gift_Cards.json", encoding="utf-8"):
        item = json.loads(line)
        if item["asin"] in met:
            rows.writerow([item["asin"], item.get("title", ""), " ".join(item.get("description", []))[:400]])
PYTHON
    run "Amazon gift cards" --events "$folder/gifts.csv" --items "$folder/gift-items.csv" --text title,description \
        --remove-html --skip-bad-lines
else
    echo "Amazon gift cards are not there: left out"
fi
