# Ctrl-C while many documents are indexed: exit 10, a sentence, what is complete stays; the next run
# goes on, and ends with what an uninterrupted run gives.
. "$REPO/tests/cli/helpers"
mkdir books
split -C 9000 -d --additional-suffix .txt "$REPO/samples/"Michael* books/candle-
"$LMK" index -q -t 2 -c whole.lmk --kv f16 books | sed 's/ in .*//'
stage() { "$LMK" list -c a.lmk --json 2>/dev/null | grep -q "\"state\":\"$1\""; }
for moment in INT-text INT-ready TERM-ready; do
    signal=${moment%-*} state=${moment#*-}
    echo "---- $signal when the first document is in state $state"
    rm -rf a.lmk
    "$LMK" index -q -t 1 -c a.lmk --kv f16 books >out 2>err &
    writer=$!
    wait_until 60 stage $state
    kill -s $signal $writer
    wait $writer
    echo "exit $?"
    cat err
    "$LMK" verify -c a.lmk >problems || cat problems
    "$LMK" list -c a.lmk --json | show value id hash state >listed
    stage text && echo "something is left to do"
    [ $state = text ] || grep -c 'ready$' listed | grep -vx 0 >/dev/null || echo "nothing is ready"
    "$LMK" search -c a.lmk fox >out 2>err
    code=$? # 1: nothing was complete
    [ $code = 0 ] || { [ $code = 1 ] && [ $state = text ]; } || echo "search: exit $code"
    [ $state = text ] || sed 's/[0-9]* of/some of/' err
    "$LMK" index -q -t 1 -c a.lmk books --json | show value documents_added
    "$LMK" list -c a.lmk --json | show value id hash state >after
    grep 'ready$' listed | grep -vxFf after # what was ready is as it was
    "$LMK" list -c whole.lmk --json | show value id hash state | cmp - after
    for query in "a candle burns" "oxygen and hydrogen"; do
        "$LMK" search -c whole.lmk --json "$query" >one.json
        "$LMK" search -c a.lmk --json "$query" >other.json
        show same one.json other.json
    done
done
"$LMK" verify -c a.lmk >problems || cat problems
