#!/usr/bin/env bash
# ranklet-fit on a small log that it can only learn from the order of events, and on files with something wrong in them.
# Run from the project's root:  bash cli/test_fit.sh PATH/TO/ranklet-fit
set -euo pipefail
fit=$1
encoder=tests/parity/goldens/tiny-minilm.gguf
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# 300 users walk around a ring of 60 items, from different places, now and then a step too far.
awk 'BEGIN {
    print "userId,movieId,rating,timestamp";
    seed = 7;
    for (u = 1; u <= 300; ++u) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        item = seed % 60;
        for (e = 0; e < 12; ++e) {
            printf "u%d,m%d,%d,%d\n", u, item, 1 + (u + e) % 5, 1500000000 + u * 100000 + e * 60;
            seed = (seed * 1103515245 + 12345) % 2147483648;
            item = (item + 1 + (int(seed / 65536) % 8 == 0)) % 60;
        }
    }
}' > "$folder/events.csv"
# Items in quotes, one without events; m59 is in the log alone.
awk 'BEGIN {
    print "movieId,title,genres";
    for (i = 0; i < 59; ++i) printf "m%d,\"Film, number %d\",Drama|Part%d\n", i, i, i % 4;
    print "m99,A film nobody saw,Drama";
}' > "$folder/items.csv"

run() { "$fit" --encoder "$encoder" --events "$folder/events.csv" --items "$folder/items.csv" "$@"; }
expect() { grep -qF -- "$1" "$folder/report" || { echo "the report lacks: $1"; cat "$folder/report"; exit 1; }; }

run --text title,genres --attribute genres:tags --out "$folder/a.gguf" --catalog "$folder/catalog.gguf" --threads 2 \
    > "$folder/report" 2> "$folder/progress"
expect '3600 events of 300 users and 60 items; user "userId", item "movieId", time "timestamp" in seconds'
expect '60 items; id "movieId", text "title" "genres"'
expect '61 items ranked; 1 only in the log (no text), 1 only among the items (no events)'
grep -q 'choosing' "$folder/progress" || { echo "no progress was told"; exit 1; }
# What only the order of events tells: by far better than popularity and any order.
awk '/^(random|popularity|transitions|blend) /{hit[$1] = $2} END {
    if (!(hit["transitions"] > 0.95 && hit["blend"] >= hit["transitions"] - 0.02 && hit["popularity"] < 0.5 &&
          hit["random"] > 0.15 && hit["random"] < 0.25)) { print "unexpected hit rates"; exit 1 }
}' "$folder/report"

# The same bytes again, on one thread.
run --text title,genres --attribute genres:tags --out "$folder/b.gguf" --threads 1 > /dev/null 2>&1
cmp "$folder/a.gguf" "$folder/b.gguf"

# Two nights: what was counted is kept and goes on, the same day is not counted twice, a day that misleads is refused.
head -1 "$folder/events.csv" > "$folder/first.csv"
cp "$folder/first.csv" "$folder/second.csv"
awk -F, 'NR > 1 { print > ((NR - 2) % 12 < 8 ? first : second) }' first="$folder/first.part" second="$folder/second.part" \
    "$folder/events.csv"
cat "$folder/first.part" >> "$folder/first.csv"
awk -F, -v OFS=, '{ $4 = sprintf("%.0f", $4 + 1000000000); print }' "$folder/second.part" >> "$folder/second.csv"
items="--items $folder/items.csv --text title,genres"
# shellcheck disable=SC2086
"$fit" --encoder "$encoder" --events "$folder/first.csv" $items --out "$folder/night1.gguf" --counts "$folder/counts" \
    --no-choosing > "$folder/report" 2> /dev/null
expect ".transitions, .popularity: 2400 events"
night() {
    # shellcheck disable=SC2086
    "$fit" --refit "$folder/night1.gguf" --counts "$folder/counts" --events "$1" $items --out "$2" > "$folder/report" 2>&1
}
night "$folder/second.csv" "$folder/night2.gguf"
expect "1200 events counted"
expect "the running file: HR@10"
[ -s "$folder/night2.gguf" ] || { echo "no second night"; exit 1; }
cp "$folder/counts.transitions" "$folder/before"
if night "$folder/second.csv" "$folder/none.gguf"; then echo "the same day was counted twice"; exit 1; fi
expect "no event that is newer"
cmp "$folder/counts.transitions" "$folder/before"
awk 'BEGIN {
    print "userId,movieId,rating,timestamp";
    for (u = 1; u <= 300; ++u) {
        item = u;
        for (e = 0; e < 40; ++e) {
            item = (item + 7) % 60;
            printf "u%d,m%d,5,%.0f\n", u, item, 3000000000 + e;
        }
        printf "u%d,m%d,5,%.0f\n", u, (item + 1) % 60, 3000000041;
    }
}' > "$folder/misleading.csv"
status=0
night "$folder/misleading.csv" "$folder/none.gguf" || status=$?
[ "$status" = 3 ] || { echo "a file that is worse was not refused: $status"; cat "$folder/report"; exit 1; }
expect "refused: the new model ranks worse"
[ ! -e "$folder/none.gguf" ] || { echo "a refused file was written"; exit 1; }
# shellcheck disable=SC2086
"$fit" --encoder "$encoder" --events "$folder/first.csv" $items --running "$folder/night2.gguf" --no-choosing \
    > "$folder/report" 2> /dev/null
expect "no test event is newer than the running file"
if "$fit" --events "$folder/first.csv" > "$folder/report" 2>&1; then echo "accepted without a model"; exit 1; fi
expect "--encoder or --refit is required"

# What is wrong is said with its line, and no file is written.
refuse() {
    local said=$1; shift
    if run --out "$folder/none.gguf" "$@" > "$folder/report" 2>&1; then echo "accepted: $*"; exit 1; fi
    expect "$said"
    [ ! -e "$folder/none.gguf" ] || { echo "a file was written all the same"; exit 1; }
}
cp "$folder/events.csv" "$folder/good.csv"
echo "u1,m1,5" >> "$folder/events.csv"
refuse "line 3602"
run --skip-bad-lines --no-choosing > "$folder/report" 2> /dev/null
expect "1 lines could not be read and were left out"
cp "$folder/good.csv" "$folder/events.csv"
encoder=$folder/nothing-there.gguf refuse "nothing-there.gguf"
refuse "no-such-column" --user no-such-column
head -3 "$folder/good.csv" > "$folder/events.csv"
refuse "no user with three events"
echo "ranklet-fit: a log becomes a recommender, and bad input an error"
