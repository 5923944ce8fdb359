# kill -9 in the middle of one long document: the next run goes on behind the blocks that were
# committed, not at the document's first, and ends with what an uninterrupted run gives.
. "$REPO/tests/cli/helpers"
mkdir books
cat "$REPO/samples/"Wilkie* "$REPO/samples/"Michael* >books/long.txt
"$LMK" index -q -t 1 -c whole.lmk --kv f16 books | sed 's/ in .*//'
"$LMK" list -c whole.lmk --json | show value id hash blocks state >whole.list
tokens=$("$LMK" list -c whole.lmk --json | show value tokens)
stored() { # bytes
    "$LMK" info -c a.lmk --json 2>/dev/null | grep -o '"keys_values":[0-9]*' | cut -d: -f2
}
has_more() {
    now=$(stored)
    [ "${now:-0}" -gt "$1" ]
}

left=$tokens
for round in 1 2; do
    bytes=$(stored)
    "$LMK" index -q -t 1 -c a.lmk --kv f16 books >out 2>err &
    writer=$!
    wait_until 60 has_more "${bytes:-0}"
    kill -9 $writer
    wait $writer
    "$LMK" list -c a.lmk --json | show value state
    "$LMK" verify -c a.lmk >problems || cat problems
done
"$LMK" index -q -t 1 -c a.lmk books --json >report
run=$(show value tokens <report)
[ "$run" -gt 0 ] && [ "$run" -lt $((tokens - 2 * 512 * 62)) ] || echo "$run of $tokens tokens were run"
"$LMK" list -c a.lmk --json | show value id hash blocks state | cmp - whole.list
for query in "a candle burns" "oxygen and hydrogen" "the convict hanged"; do
    "$LMK" search -c whole.lmk --mode landmark --json "$query" >one.json
    "$LMK" search -c a.lmk --mode landmark --json "$query" >other.json
    show same one.json other.json
done
"$LMK" verify -c a.lmk >problems || cat problems
