# --kv by document: with none, an answer computes what it reads again, and says what that costs.
. "$REPO/tests/cli/helpers"
stories books 1 4 60
stories more 5 6 60
"$LMK" index -q -t 1 -c kept.lmk --kv f16 books more >/dev/null
"$LMK" index -q -t 1 -c none.lmk --kv none books >/dev/null
"$LMK" index -q -t 1 -c none.lmk --kv f16 more >/dev/null
"$LMK" list -c none.lmk --json | show value id kv state
"$LMK" info -c none.lmk --json | show value kv documents documents_ready
for collection in kept none; do
    "$LMK" ask -q -c $collection.lmk --json -k 4 "golden fox" >$collection.json
    "$LMK" search -q -c $collection.lmk --json "golden fox" >$collection.found
done
show same kept.json none.json
show same kept.found none.found
show members <none.json | grep computed
"$LMK" ask -c none.lmk -k 4 "golden fox" 2>&1 | grep computed | sed 's/[0-9][0-9.]*/N/g'
"$LMK" ask -c kept.lmk -k 4 "golden fox" 2>&1 | grep computed
"$LMK" verify -c none.lmk >found || cat found
echo "---- what was not given stays as it was"
stories later 7 7 60
"$LMK" index -q -t 1 -c none.lmk later >/dev/null
"$LMK" list -c none.lmk --json | show value id kv | tail -n 1
