# JSON lines: each line is a document with a path of its own, FILE/ID, whose fields stay with it;
# bad lines are told of; compressed files are the same; changed, moved and removed lines.
. "$REPO/tests/cli/helpers"
line() {
    printf '{"_id": "%s", "title": "%s", "text": "%s", "year": %s}\n' "$1" "$2" "$(story "$3" 3 | tr '\n' ' ')" "$4"
}
{ line d1 "One" 1 1901; line d2 "" 2 1902; echo "no object"; line d3 "Three \\\"3\\\"" 3 1903; } >corpus.jsonl
index -c a.lmk corpus.jsonl
list a.lmk
"$LMK" list -c a.lmk --json | show value path title kind metadata | plain
echo "---- their places in the file, and the metadata of a hit"
"$LMK" search -c a.lmk --no-merge --json "$(story 3 1)" | show places | sort -u
"$LMK" search -c a.lmk --top 1 --mode lexical --json '"three 3"' >hit.json
/usr/bin/python3 -c 'import json; print(json.load(open("hit.json"))["passages"][0]["metadata"])'
echo "---- again; strictly; the same compressed; two of one text with different ids"
index -c a.lmk corpus.jsonl
index -c b.lmk --strict corpus.jsonl
for tool in gzip bzip2 xz zstd; do
    $tool -c corpus.jsonl >corpus.jsonl.$tool
    index -c $tool.lmk corpus.jsonl.$tool | tail -n 2
done
{ line x "Same" 5 1; line y "Same" 5 1; line x "Same" 5 1; } >same.jsonl
index -c same.lmk same.jsonl
list same.lmk
echo "---- one line changed, one gone, one new"
{ line d1 "One" 1 1901; line d3 "Three" 33 1903; line d4 "Four" 4 1904; } >corpus.jsonl
index -c a.lmk corpus.jsonl
list a.lmk
index -c a.lmk corpus.jsonl
echo "---- moved, then removed and indexed anew"
mv corpus.jsonl moved.jsonl
index -c a.lmk moved.jsonl
list a.lmk
try "$LMK" remove -c a.lmk moved.jsonl/d1
index -c a.lmk moved.jsonl
try "$LMK" remove -c a.lmk moved.jsonl
index -c a.lmk moved.jsonl
echo "---- the same documents in two files, of which one goes"
cp moved.jsonl copy.jsonl
index -c a.lmk copy.jsonl
rm moved.jsonl
index -c a.lmk copy.jsonl
list a.lmk
index -c a.lmk copy.jsonl
echo "---- a file that becomes another kind of file"
story 8 3 >copy.jsonl
index -c a.lmk copy.jsonl
story 8 3 >copy.txt
cp copy.txt copy
index -c c.lmk copy
{ line d1 "One" 1 1901; line d2 "Two" 2 1902; } >copy
index -c c.lmk copy
list c.lmk
cp copy.txt copy
index -c c.lmk copy
list c.lmk
echo "---- in a folder only those with texts; cut off in the middle"
mkdir books
echo '{"question": "who?"}' >books/questions.jsonl
line d9 "Nine" 9 1909 >books/corpus.jsonl
index -c f.lmk books
{ for i in $(seq 300); do line "c$i" "C $i" "$i" 1; done; } | gzip -c | head -c 3000 >cut.jsonl.gz
index -c g.lmk cut.jsonl.gz | sed 's/[0-9]* documents indexed ([0-9]* new/N documents indexed (N new/; s/: [0-9,]* tokens/: N tokens/; s/(.*)\.$/(reason)./'
echo "---- names and languages steer no terminal"
printf '{"_id": "a\\u001b[31mb\\u009b31mc", "language": "\\u001b[31m", "text": "%s"}\n' "$(story 41 2 | tr '\n' ' ')" >h.jsonl
index -c h.lmk h.jsonl | cat -v
list h.lmk | cat -v
for c in a b c f g h same; do try "$LMK" verify -c $c.lmk | grep -c ": 0 problems"; done
