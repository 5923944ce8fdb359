# lmk eval ann: a flat index finds everything; one with lists does when it looks at all of them.
. "$REPO/tests/cli/helpers"
stories books 1 8 60
for number in 1 2 3 4 5; do
    echo "{\"_id\": \"$number\", \"text\": \"$(story $number 1 | head -n 1)\"}"
done >queries.jsonl
index -c flat.lmk --ann Flat books
index -c lists.lmk --ann IVF16,Flat books
values='
import json, sys
o = json.load(sys.stdin)
print(o["command"], o["questions"], o["segments"], o["blocks"] == o["segment_blocks"])
exact, *others = o["efforts"]
names = ("recall@1", "recall@10", "recall@100")
print("exact", exact["effort"], exact["probes"], *[exact[name] for name in names])
print("efforts", *[other["effort"] for other in others], "used", *[other["effort"] for other in others if other["used"]])
print("probes", *[other["probes"] for other in others])
for name in names:
    recalls = [other[name] for other in others]
    print(name, "all" if min(recalls) == 1 else "less", recalls[-1], "grows" if recalls == sorted(recalls) else "falls")
'
echo "---- flat"
"$LMK" eval ann -q -c flat.lmk --queries queries.jsonl --json >1.json
/usr/bin/python3 -c "$values" <1.json
echo "---- lists"
"$LMK" eval ann -q -c lists.lmk --queries queries.jsonl --json >2.json
/usr/bin/python3 -c "$values" <2.json
echo "---- as a table"
"$LMK" eval ann -q -c flat.lmk --queries queries.jsonl | sed 's/[0-9]*\.[0-9]*\(  <- used\)*$/N\1/'
echo "---- refused"
try "$LMK" eval ann --queries queries.jsonl
try "$LMK" eval ann -c none.lmk --queries queries.jsonl
echo '{"_id": 1}' >bad.jsonl
try "$LMK" eval ann -c flat.lmk --queries bad.jsonl
