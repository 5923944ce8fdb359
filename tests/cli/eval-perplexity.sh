# lmk eval perplexity: texts that repeat are easier to predict with what stands before; the same tokens
# are scored in every way.
. "$REPO/tests/cli/helpers"
/usr/bin/python3 -c '
import json, random
draw = random.Random(0)
words = "river stone lamp garden horse winter letter bridge candle harbour silver meadow".split()
for text in range(3):
    first = " ".join(draw.choice(words) for _ in range(300))
    print(json.dumps({"_id": str(text), "title": "", "text": (first + " ") * 4}))
print(json.dumps({"_id": "short", "title": "", "text": "too short to be read"}))' >corpus.jsonl
evaluate() {
    "$LMK" eval perplexity -q --corpus corpus.jsonl "$@"
}
values='
import json, sys
o = json.load(sys.stdin)
print(o["command"], o["texts"], o["stretches"], o["length"], o["local"], o["blocks"], o["k"])
modes = o["modes"]
values = {name: mode["perplexity"] for name, mode in modes.items()}
print(all(1 < value < 1e15 for value in values.values()), [name for name in values])
print({name: abs(100 * (mode["perplexity"] / values["local"] - 1) - mode["changes"]["perplexity"]["percent"]) < 1e-6
       for name, mode in modes.items()})
same = lambda a, b: abs(modes[a]["perplexity"] / modes[b]["perplexity"] - 1) < 1e-6
print("memory and longer", same("memory", "longer"), "memory and reach", same("memory", "reach"), "local and reach", same("local", "reach"))
'
echo "---- k of the blocks before"
evaluate --length 1000 --runs 1 --blocks 8 -k 2 --json | /usr/bin/python3 -c "$values"
echo "---- all blocks chosen are the longer context; one more than the three of the local context is all of this model's reach"
evaluate --length 400 --runs 2 --blocks 3 -k 3 --json | /usr/bin/python3 -c "$values"
evaluate --length 1000 --runs 1 --blocks 1 -k 1 --json | /usr/bin/python3 -c "$values"
echo "---- a stretch that the local context holds is the same in every way"
evaluate --length 200 --runs 1 --json | /usr/bin/python3 -c "$values"
echo "---- memory as it is kept: the other ways are as they were"
evaluate --length 1000 --runs 1 --blocks 8 -k 2 --json >computed
evaluate --length 1000 --runs 1 --blocks 8 -k 2 --kv f16 --json >kept
/usr/bin/python3 -c '
import json
computed, kept = (json.load(open(name)) for name in ("computed", "kept"))
print(computed["kv"], kept["kv"])
for mode in computed["modes"]:
    print(mode, computed["modes"][mode]["perplexity"] == kept["modes"][mode]["perplexity"])
change = kept["modes"]["memory"]["perplexity"] / computed["modes"]["memory"]["perplexity"]
print(0.9 < change < 1.1 and change != 1)
'
echo "---- as a table"
evaluate --length 400 --runs 1 | sed 's/[0-9]*\.[0-9]\{2,3\}/N/g; s/+N/N/g; s/-N/N/g; s/  *$//; s/   */  /g'
echo "---- refused"
try "$LMK" eval perplexity
try evaluate --length 100000
try evaluate --length 2
try evaluate --kv q4_0
echo '{"title": "none"}' >bad.jsonl
try evaluate --corpus bad.jsonl
