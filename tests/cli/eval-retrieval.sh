# lmk eval retrieval on a toy set whose numbers are known by hand.
. "$REPO/tests/cli/helpers"
cat >corpus.jsonl <<'END'
{"_id": "whale", "title": "Whales", "text": "Queequeg the harpooneer hunted whales from a small boat in cold seas for years."}
{"_id": "tea", "title": "", "text": "Alice drank tea with a hatter and a sleepy dormouse under the tree."}
{"_id": "candle", "title": "Candles", "text": "Faraday explained how tallow burns in a candle flame and gives light."}
{"_id": "copy", "title": "", "text": "Alice drank tea with a hatter and a sleepy dormouse under the tree."}
{"_id": "blank", "title": "", "text": "  "}
END
cat >queries.jsonl <<'END'
{"_id": "q1", "text": "Queequeg"}
{"_id": "q2", "text": "dormouse"}
{"_id": "q3", "text": "xyzzy"}
{"_id": "q4", "text": "nobody judged this"}
END
printf 'query-id\tcorpus-id\tscore\nq1\twhale\t1\nq2\tcopy\t1\nq2\ttea\t0\nq3\tcandle\t2\n' >qrels.tsv
# q1 right at rank 2, q2 at rank 1, q3 missing; the order follows scores, not ranks
cat >other.trec <<'END'
q1 Q0 tea 1 0.5 x
q1 Q0 whale 2 0.25 x
q2 Q0 tea 1 0.25 x
q2 Q0 copy 2 0.75 x
q9 Q0 tea 1 1 x
END
evaluate() {
    "$LMK" eval retrieval --kv f16 --corpus corpus.jsonl --queries queries.jsonl --qrels qrels.tsv "$@"
}
values='
import json, sys
o = json.load(sys.stdin)
print(o["command"], o["entries"], o["questions"], o["documents"], o["baseline"], *o["modes"], *o["runs"])
def show(name, m):
    print(name, *["%s %.4f" % (k, m[k]) for k in ("ndcg@10", "mrr@10", "recall@1", "recall@5", "recall@100")])
for name in sys.argv[1:]:
    m = {**o["modes"], **o["runs"]}[name]
    show(name, m)
    if "block" in m:
        show("  blocks", m["block"])
    if "differences" in m:
        print("  r@1 less", o["baseline"], "%.4f" % m["differences"]["recall@1"]["value"])
'
echo "---- q1 at rank 1; q2 at rank 2, behind the same text with a higher id; q3 not found"
evaluate -q --json --run other.trec --write-runs runs >first.json
/usr/bin/python3 -c "$values" lexical other <first.json
ls runs
cut -d' ' -f1-4,6 runs/lexical.trec
echo "---- what was written gives the same when it is read"
cp runs/hybrid.trec again.trec
evaluate -q --json --run again.trec --baseline hybrid >second.json
/usr/bin/python3 -c '
import json
o = json.load(open("second.json"))
a, b = o["modes"]["hybrid"], o["runs"]["again"]
print([name for name in ("ndcg@10", "mrr@10", "recall@1", "recall@20") if a[name] != b[name]], b["differences"]["ndcg@10"])'
echo "---- without a search: only what was written"
evaluate -q --json --no-search --run runs/hybrid.trec --run other.trec >alone.json
/usr/bin/python3 -c '
import json
alone, first = json.load(open("alone.json")), json.load(open("first.json"))
print(alone["baseline"], *alone["runs"], len(alone["modes"]))
print(all(alone["runs"][n][m] == {**first["modes"], **first["runs"]}[n][m] for n in alone["runs"] for m in ("ndcg@10", "recall@20")))'
echo "---- a named collection is kept and used again; nothing else is left behind"
evaluate -q --json -c kept.lmk >third.json
evaluate --json -c kept.lmk >fourth.json 2>err
cat err
plain_numbers() { sed 's/"milliseconds":{[^}]*}//g' "$1"; }
plain_numbers third.json >a && plain_numbers fourth.json >b && cmp a b
value_of() { "$LMK" info -c kept.lmk --json | show value "$1"; }
value_of documents
ls -A "$TMPDIR" | grep lmk-eval || echo "nothing left behind"
echo "---- and while another process writes it"
/usr/bin/python3 -c '
import fcntl, struct, sys, time
lock = open("kept.lmk/writer.lock", "r+")
fcntl.fcntl(lock, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print("held", flush=True)
time.sleep(60)' >held &
holder=$!
wait_until 20 grep -q held held
evaluate --json -c kept.lmk >fifth.json
plain_numbers fifth.json | cmp - b && echo "the same"
kill $holder
wait $holder 2>/dev/null
echo "---- as a table"
evaluate -q -c kept.lmk --limit 2 --seed 3 | sed 's/[0-9.]* ms/N ms/g'
echo "---- refused"
try "$LMK" eval
try "$LMK" eval nonsense
try "$LMK" eval retrieval --corpus corpus.jsonl
try evaluate --run missing.trec
try evaluate --baseline nobody
try evaluate --no-search
printf 'q1\twhale\t1\nq2\tnowhere\t1\n' >bad.tsv
try evaluate --qrels bad.tsv
printf 'q1\twhale\t1\nq2 tea 1\n' >bad.tsv
try evaluate --qrels bad.tsv
echo '{"_id": "a", "text": 5}' >bad.jsonl
try evaluate --corpus bad.jsonl
printf '{"_id": "a", "text": "x"}\n\n{"_id": "a", "text": "y"}\n' >bad.jsonl
try evaluate --corpus bad.jsonl
echo '{"_id": ' >bad.jsonl
try evaluate --queries bad.jsonl
echo 'q1 Q0 whale 1 much x' >bad.trec
try evaluate --run bad.trec
stories books 1 1 10
index -c mixed.lmk books
try evaluate -c mixed.lmk
