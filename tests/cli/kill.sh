# kill -9 at thirty moments while documents are added: the store is never damaged, no document that
# was there is lost, and in the end everything is as if nothing had happened.
. "$REPO/tests/cli/helpers"
seed=20240519
random() { # of 0 to 999, into $number
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    number=$((seed / 65536 % 1000))
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# How long one step takes here and now, so that the moments spread over it and somewhat beyond.
stories books 1 4 40
before=$(milliseconds)
"$LMK" index -q -t 1 -c trial.lmk --kv f16 books >/dev/null
length=$(($(milliseconds) - before))

: >ready
killed=0
for round in $(seq 1 30); do
    stories books $((4 * round + 1)) $((4 * round + 4)) 40
    "$LMK" index -q -t 1 -c a.lmk --kv f16 books >/dev/null 2>&1 &
    writer=$!
    random
    delay=$((length * number * 3 / 2000))
    sleep $(printf %d.%03d $((delay / 1000)) $((delay % 1000)))
    kill -9 $writer 2>/dev/null && killed=$((killed + 1))
    wait $writer 2>/dev/null
    if [ ! -e a.lmk/CURRENT ]; then
        [ ! -s ready ] || echo "round $round: the collection is gone"
        continue
    fi
    "$LMK" verify -c a.lmk >problems 2>&1 || { echo "round $round: verify ends with $?"; cat problems; }
    "$LMK" list -c a.lmk --json >listed || echo "round $round: list ends with $?"
    show value id hash path state <listed | grep 'ready$' >now
    grep -vxFf now ready && echo "round $round lost these"
    mv now ready
    "$LMK" search -c a.lmk --json fox 2>/dev/null >found
    code=$?
    [ $code = 0 ] || { [ $code = 1 ] && [ ! -s ready ]; } || echo "round $round: search ends with $code"
done
[ $killed -gt 5 ] || echo "only $killed runs were still there to be killed"
"$LMK" index -q -t 1 -c a.lmk --kv f16 books >/dev/null
echo "exit $?"
"$LMK" index -q -t 1 -c whole.lmk --kv f16 books >/dev/null
for collection in a whole; do
    "$LMK" list -c $collection.lmk --json | show value hash path title state blocks tokens | sort >$collection.list
    "$LMK" search -c $collection.lmk --json "the golden harbour" >$collection.json
    "$LMK" info -c $collection.lmk --json | show value documents documents_ready blocks blocks_ready tokens source_bytes text_bytes
done
cmp a.list whole.list
show same a.json whole.json
"$LMK" verify -c a.lmk >problems || cat problems
ls a.lmk
