# lmk search --queries: questions from a file or standard input, a line of JSON for each; and --features.
. "$REPO/tests/cli/helpers"
stories books 1 3 30
index -c a.lmk books
cat >questions.jsonl <<'END'
who found the river?
{"_id": "q-2", "text": "a candle and a \"letter\""}

   the clock  
{"question": "Who carried the letter?", "answers": ["nobody"], "_id": 7}
END
echo "---- one object a line, in order"
"$LMK" search -c a.lmk --top 2 --queries questions.jsonl >all.json || echo "exit $?"
/usr/bin/python3 -c '
import json
for line in open("all.json"):
    result = json.loads(line)
    print(result.get("id"), repr(result["query"]), len(result["passages"]), [p["rank"] for p in result["passages"]])'
echo "---- from standard input, and the same as one by one"
"$LMK" search -c a.lmk --top 2 --queries - <questions.jsonl >piped.json || echo "exit $?"
show same all.json piped.json
sed -n 3p all.json >third.json
"$LMK" search -c a.lmk --top 2 --json "the clock" >alone.json
show same third.json alone.json
{ printf '\357\273\277'; sed -n 2p questions.jsonl; } >marked.jsonl
"$LMK" search -c a.lmk --top 1 --queries marked.jsonl | /usr/bin/python3 -c 'import json; print(json.loads(input())["query"])'
echo "---- each result comes before the next question is read"
mkfifo asked
"$LMK" search -c a.lmk --top 1 --queries asked >answers &
exec 3>asked
for question in river clock; do
    echo $question >&3
    wait_until 60 grep -qs "\"query\":\"$question\"" answers && echo "answered $question"
done
exec 3>&-
wait
echo "---- nothing found is no error among many"
printf '%s\n' zebra river | "$LMK" search -c a.lmk --mode lexical --top 1 --queries - | /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    result = json.loads(line)
    print(result["query"], len(result["passages"]), result.get("not_found"))'
echo "---- a bad line stops, and is named"
printf '%s\n' river '{"text": 3}' clock >bad.jsonl
try "$LMK" search -c a.lmk --queries bad.jsonl | sed 's/^{.*/{...}/'
printf '%s\n' '{"text": "river"' | try "$LMK" search -c a.lmk --queries -
printf '%s\n' '{"text": " "}' | try "$LMK" search -c a.lmk --queries -
try "$LMK" search -c a.lmk --queries missing.jsonl
try "$LMK" search -c a.lmk --queries bad.jsonl river
echo "---- features: every candidate, with the parts of what was ranked"
"$LMK" search -c a.lmk --top 1 --features --json river >features.json
show members <features.json | grep candidates
"$LMK" search -c a.lmk --top 1 --features --candidates 10 --queries questions.jsonl | /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    result = json.loads(line)
    candidates = result["candidates"]
    sums = [c["landmark_z"] + c["lexical_z"] for c in candidates]
    print(10 <= len(candidates) <= 20, {len(c["heads"]) for c in candidates},
          all(abs(c["score"] - s) < 1e-4 for c, s in zip(candidates, sums)),
          sums == sorted(sums, reverse=True), candidates[0]["block"] == result["passages"][0]["best_block"])'
try "$LMK" search -c a.lmk --features river
try "$LMK" search -c a.lmk --features --json --mode lexical river
