# reindex --model: a collection anew for another model, from the texts it holds.
. "$REPO/tests/cli/helpers"
tiny=$LMK_MODEL
other=$REPO/tests/golden/tiny-slot-all.gguf
english=$REPO/models/landmark-en-42m.gguf
stories books 1 5 60
index -c a.lmk books
echo "---- with another model it is refused, and the way out named"
try "$LMK" search -c a.lmk -m "$other" fox 2>&1 | sed 's/fingerprint [0-9a-f]*/fingerprint X/g'
echo "---- the model that it has, and what no longer fits"
try "$LMK" reindex -c a.lmk
try "$LMK" reindex -c a.lmk book
try "$LMK" reindex -c a.lmk --from "$other" --model "$english" 2>&1 | sed 's/fingerprint [0-9a-f]*/fingerprint X/g'
echo "---- another vocabulary"
try "$LMK" reindex -c a.lmk --model "$english"
"$LMK" search -q -c a.lmk --json "golden fox" >before.json
echo "---- stopped, it goes on; the files are not needed"
mv books away
"$LMK" reindex -q -t 1 -c a.lmk --model "$english" --from "$tiny" --for 0.001s | sed 's/in [0-9.]* s, [0-9,]*/in N s, N/'
"$LMK" search -q -c a.lmk --json "golden fox" >after.json
show same before.json after.json
ls a.lmk
"$LMK" reindex -q -t 1 -c a.lmk --model "$english" --from "$tiny" --json >done.json
show members <done.json
show value model generation documents <done.json
ls a.lmk
mv away books
echo "---- it is as if it had been indexed with that model"
"$LMK" index -q -t 1 -c b.lmk -m "$english" --kv f16 books >/dev/null
for name in a b; do
    "$LMK" export -c $name.lmk -m "$english" >$name.export
    "$LMK" search -q -c $name.lmk -m "$english" --json "golden fox" >$name.json
    "$LMK" verify -c $name.lmk | sed 's/, [0-9]* values/, N values/'
done
cmp a.export b.export
show same a.json b.json
try "$LMK" search -c a.lmk "golden fox" 2>&1 | sed 's/fingerprint [0-9a-f]*/fingerprint X/g'
