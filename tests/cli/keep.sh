# export, --prune, compact and reindex: nothing but what has gone is lost, and less disk is used.
. "$REPO/tests/cli/helpers"
stories books 1 6 60
stories more 7 8 60
"$LMK" index -q -t 1 -c a.lmk --kv f16 books more >/dev/null
echo "---- export: the texts of a document's blocks are its text"
"$LMK" export -c a.lmk >a.json
show members <a.json | sort
for file in books/*; do
    tr -s '\n' <"$file" | tr '\n' '\v' | sed 's/\v$//' | tr '\v' '\n' >normal.txt
    /usr/bin/python3 - "$file" normal.txt <<'PYTHON'
import json, os, sys
items = [json.loads(line) for line in open("a.json")]
path = os.path.realpath(sys.argv[1])
document = next(item for item in items if item.get("path") == path)
blocks = [item for item in items if item["type"] == "block" and item["document"] == document["id"]]
text = "".join(block["text"] for block in blocks)
assert text.split() == open(sys.argv[2]).read().split(), path
assert len(text.encode()) == document["text_bytes"] and len(blocks) == document["blocks"]
assert sum(block["tokens"] for block in blocks) == document["tokens"]
assert [block["text_start"] for block in blocks][:1] == [0]
PYTHON
done
echo "---- prune: only what has gone, only from the folder given, and not what another file has"
cp books/story-002.txt more/copy.txt
index -c a.lmk more
rm books/story-001.txt books/story-002.txt more/story-007.txt
index -c a.lmk books
index -c a.lmk --prune books
list a.lmk | grep -v '^ *[0-9]'
echo "---- compact"
"$LMK" search -q -c a.lmk --json "golden fox" >before.json
"$LMK" export -c a.lmk >before.export
size() { cat a.lmk/generation-*/data.mdb a.lmk/generation-*/lexical.db | wc -c; }
before=$(size)
try "$LMK" compact -c a.lmk | sed 's/[0-9.]* [kMG]*B/SIZE/g'
[ "$(size)" -lt "$before" ] || echo "it is not smaller"
ls a.lmk a.lmk/generation-000002
"$LMK" search -q -c a.lmk --json "golden fox" >after.json
show same before.json after.json
"$LMK" export -c a.lmk | cmp - before.export
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
echo "---- what was added later becomes one segment with the rest"
stories later 20 29 60
"$LMK" index -q -t 1 -c a.lmk later >/dev/null
"$LMK" remove -q -c a.lmk 5 >/dev/null
"$LMK" search -q -c a.lmk --json --mode landmark "golden fox" >before.json
"$LMK" compact -q -c a.lmk --json | show members
"$LMK" info -c a.lmk --json | show value generation segments segment_blocks blocks
"$LMK" search -q -c a.lmk --json --mode landmark "golden fox" >after.json
show same before.json after.json
echo "---- another landmark index"
for ann in HNSW8 Flat IVF4,SQ8 auto; do
    "$LMK" reindex -q -c a.lmk --ann $ann
    ls a.lmk/generation-*/landmarks | wc -l
    "$LMK" search -q -c a.lmk --json --mode landmark "golden fox" >after.json
    show same before.json after.json
done
try "$LMK" reindex -q -c a.lmk --ann IVF0
try "$LMK" reindex -q -c a.lmk
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
echo "---- an interrupted run had made a generation whole, and only not named it"
cp -r a.lmk/generation-000003 a.lmk/generation-000004
mkdir a.lmk/compact.new
echo half >a.lmk/compact.new/data.mdb
"$LMK" search -q -c a.lmk --json --mode landmark "golden fox" >after.json
show same before.json after.json
cat a.lmk/CURRENT
"$LMK" remove -q -c a.lmk 99 2>/dev/null
cat a.lmk/CURRENT
ls a.lmk
echo "---- prune: a file with several documents"
printf '{"_id": "%s", "title": "T%s", "text": "%s"}\n' 1 1 "the golden fox" 2 2 "a silver fox" >lines.jsonl
"$LMK" index -q -t 1 -c b.lmk --kv f16 lines.jsonl books/story-004.txt >/dev/null
"$LMK" list -c b.lmk --json | show value title
mkdir empty
rm lines.jsonl books/story-004.txt
index -c b.lmk --prune books
"$LMK" list -c b.lmk --json | show value title
index -c b.lmk --prune "$here"
"$LMK" list -c b.lmk --json | show value title
"$LMK" verify -c b.lmk >verified || cat verified
