# Answers from the best texts, read again: how many (--texts, or what the model's file says) and
# which one an answer is from. The model of the tests writes no sense, so only the form is looked at.
. "$REPO/tests/cli/helpers"
mkdir books
cp "$REPO/samples/"Wilkie* books/
index -c a.lmk books
ask() {
    "$LMK" ask -q -c a.lmk --generate --max-tokens 12 "$@" "Who was hanged?" 2>/dev/null
}
echo "---- the answer, and where it is from"
ask --texts 3 --json >3.json
ask --texts 3 >3.txt
/usr/bin/python3 -c '
import json, math
item = json.load(open("3.json"))
source, support = item["passages"][item["source"] - 1], item["support"]
whole = item["answer_log_likelihood"] * item["answer_tokens"]
print("a source:", source["rank"] == item["source"], "and at most as likely as the answer:", 0 < support["confidence"] <= math.exp(whole) + 1e-9)
lines = open("3.txt").read().split("\n")
place = "bytes %d-%d" % (source["source_start"], source["source_end"])
print("its place:", lines[1] == "        from The Dead Alive, by Wilkie Collins, " + place)'
ask --texts 3 --json | show value answer source >again
show value answer source <3.json | cmp - again && echo "twice the same"
echo "---- from memory"
ask --json | show value answer source >default
ask --texts 0 --json | show value answer source | cmp - default && sed 's/.* //' default
ask | grep -c '^ *from'
show value answer source <3.json | cmp -s - default || echo "not what the texts say"
echo "---- with a finer granularity too"
ask --texts 3 -g head --json | show value source
echo "---- as the model's file says, for collections that are there already"
model_with landmark.answer.texts u32 3 texts.gguf
LMK_MODEL=texts.gguf ask --json | show value answer source | cmp - again && echo "the same"
LMK_MODEL=texts.gguf ask --texts 0 --json | show value answer source | cmp - default && echo "the same"
echo "---- an evaluation takes it"
echo '{"_id": "tea", "title": "", "text": "Alice drank tea with a hatter and a dormouse."}' >corpus.jsonl
echo '{"question": "dormouse", "answers": ["coffee"], "gold": "tea"}' >questions.jsonl
for texts in 0 1; do
    "$LMK" eval qa -q --kv f16 --max-tokens 4 --corpus corpus.jsonl --questions questions.jsonl --json --texts $texts |
        /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["answers"]["answerable"][0]["confidence"])' >confidence.$texts
done
cmp -s confidence.0 confidence.1 || echo "another confidence"
echo "---- refused"
try "$LMK" ask -c a.lmk --texts 17 x
try "$LMK" ask -c a.lmk --texts many x
try "$LMK" search -c a.lmk --texts 2 x
for texts in 0 17; do
    model_with landmark.answer.texts u32 $texts texts.gguf
    LMK_MODEL=texts.gguf try "$LMK" ask -c a.lmk x
done
