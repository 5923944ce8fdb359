# lmk eval qa on a toy set. The smallest model writes nonsense, which is never right; what is found,
# and what stands in it, is known by hand.
. "$REPO/tests/cli/helpers"
cat >corpus.jsonl <<'END'
{"_id": "whale", "title": "Whales", "text": "Queequeg hunted whales from a small boat."}
{"_id": "tea", "title": "", "text": "Alice drank tea with a hatter and a dormouse."}
{"_id": "candle", "title": "Candles", "text": "Tallow burns in a candle and gives light."}
{"_id": "clock", "title": "", "text": "The clock struck thirteen; the hatter laughed."}
END
cat >questions.jsonl <<'END'
{"question": "Queequeg", "answers": ["a small boat", "Boat!"], "gold": "whale"}
{"question": "dormouse", "answers": ["coffee"], "gold": ["tea", "clock"]}
END
evaluate() {
    "$LMK" eval qa --kv f16 --max-tokens 4 --corpus corpus.jsonl --questions questions.jsonl "$@"
}
values='
import json, sys
o = json.load(sys.stdin)
print(o["command"], o["entries"], o["questions"], o["documents"], o["mode"])
for name, m in o["modes"].items():
    print(name, m["exact_match"], m["f1"], *m["intervals"]["f1"].values(), "differences" in m)
for name, m in o["citations"].items():
    print(name, m["holds_answer"], "differences" in m)
for name in ("answerable", "unanswerable"):
    if name in o:
        print(name, o[name]["right"], o[name]["not_found"])
for name, answers in o["answers"].items():
    print(name, [(a["found"], a["confidence"] is not None, a["right"]) for a in answers])
    found = sum(a["found"] for a in answers) / o["questions"]
    print(abs(found - (1 - o[name]["not_found"])) < 1e-9)
curve = o["risk_coverage"]
print("coverage", curve["coverage"], "area", curve["area"])
print([point["risk"] for point in curve["points"]])
'
echo "---- words find the right passage first: one of the two holds the answer"
evaluate -q --json --mode lexical >found.json
/usr/bin/python3 -c "$values" <found.json
echo "---- without the right passages no word is found"
evaluate -q --json --mode lexical --unanswerable >removed.json
/usr/bin/python3 -c "$values" <removed.json
echo "---- as tables"
evaluate -q --mode lexical --unanswerable | sed '/^probability/d'
echo "---- a model that needs no confidence finds all that it writes, one that needs more than it has nothing"
for threshold in 0 1; do
    model_with landmark.answer.threshold f32 $threshold judging.gguf
    LMK_MODEL=judging.gguf evaluate -q --json --mode lexical --unanswerable >judged.json
    /usr/bin/python3 -c "$values" <judged.json | grep answerable
done
echo "---- refused"
try "$LMK" eval qa --corpus corpus.jsonl
cp questions.jsonl all.jsonl
echo '{"question": "light", "answers": ["tallow"], "gold": "candle"}' >>all.jsonl
try evaluate --questions all.jsonl --unanswerable -q
for line in '{"question": "x", "answers": [], "gold": "tea"}' '{"question": "x", "answers": ["y"]}' \
    '{"question": "x", "answers": [3], "gold": "tea"}' '{"question": "x", "answers": ["y"], "gold": "milk"}' \
    '{"question": "x", "answers": ["y"], "gold": []}'; do
    echo "$line" >bad.jsonl
    try evaluate --questions bad.jsonl
done
ls -A "$TMPDIR" | grep lmk-eval || echo "nothing left behind"
