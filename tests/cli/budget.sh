# compact --kv-budget: keys and values stay with the documents used most.
. "$REPO/tests/cli/helpers"
stories books 1 4 40
index -c a.lmk books
tiers() { "$LMK" list -c a.lmk --json | show value id kv; }
"$LMK" search -q -c a.lmk --where path~story-002 --json fox | show value path >shown
"$LMK" search -q -c a.lmk --where path~story-002 --json fox >before.json
"$LMK" ask -q -c a.lmk --where path~story-003 --json fox >asked.json
od -An -tu4 a.lmk/uses
echo "---- room for two and a half"
all=$("$LMK" compact -q -c a.lmk --kv-budget 1T --json | show value kv_bytes)
"$LMK" compact -q -c a.lmk --kv-budget $((all * 5 / 8)) | sed 's/[0-9.]* [kMG]*B/SIZE/g'
tiers
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
"$LMK" search -q -c a.lmk --where path~story-002 --json fox >after.json
show same before.json after.json
"$LMK" ask -q -c a.lmk --where path~story-001 --json fox | grep -o '"computed":{"blocks":[0-9]*'
echo "---- room for one, then for none"
"$LMK" compact -q -c a.lmk --kv-budget $((all * 3 / 8)) --json | show value kv_documents kv_dropped
tiers
"$LMK" compact -q -c a.lmk --kv-budget 0 --json | show value kv_documents kv_bytes
"$LMK" ask -q -c a.lmk --where path~story-003 --json fox >recomputed.json
show same asked.json recomputed.json
"$LMK" info -c a.lmk --json | grep -o '"keys_values":[0-9]*'
echo "---- those that were used get theirs back"
"$LMK" compact -q -c a.lmk --kv-budget 1T | sed 's/[0-9.]* [kMG]*B/SIZE/g'
tiers
"$LMK" ask -q -c a.lmk --where path~story-003 --json fox >again.json
show same asked.json again.json
grep -o '"computed":{"blocks":[0-9]*' recomputed.json again.json
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
"$LMK" compact -q -c a.lmk --kv-budget 0 --json | show value kv_dropped kv_computed
echo "---- where nothing may be noted, questions are answered all the same"
rm a.lmk/uses
mkdir a.lmk/uses
"$LMK" search -q -c a.lmk --json fox | show value command
"$LMK" compact -q -c a.lmk --kv-budget 1k --json | show value kv_dropped
rmdir a.lmk/uses
echo "something else" >elsewhere
ln -s ../elsewhere a.lmk/uses
"$LMK" search -q -c a.lmk --json fox | show value command
cat elsewhere
echo "---- refused"
try "$LMK" compact -c a.lmk --kv-budget much
try "$LMK" compact -c a.lmk --kv-budget 5X
try "$LMK" search -c a.lmk --kv-budget 5G fox
