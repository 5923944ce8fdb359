# search --open N shows a passage's source at its line, in what the user reads with.
. "$REPO/tests/cli/helpers"
mkdir books
{ story 1 30; echo "The zebra slept."; echo "The giraffe did not."; story 2 30; } | fold -s -w 70 >"books/A zoo.txt"
index -c a.lmk books
export PAGER=echo
search() { "$LMK" search -q -c a.lmk --mode lexical "$@" | plain; }
line=$(grep -n zebra "books/A zoo.txt" | cut -d: -f 1)
opened=$(search --open 1 --opener "echo {line}:{file}" '"zebra slept"')
echo "$opened" | sed 's/^[0-9]*/LINE/'
[ "${opened%%:*}" = "$line" ] || echo "opened at $opened instead of $line"
echo "---- the marked sentence"
for query in "Who slept?" "What did the fox do?"; do
    "$LMK" search -q -c a.lmk --json "$query" >found.json
    start=$(/usr/bin/python3 -c "import json; print(json.load(open('found.json'))['passages'][0]['mark']['source_start'])")
    line=$(head -c "$start" "books/A zoo.txt" | wc -l)
    [ "$("$LMK" search -q -c a.lmk --opener "echo {line}" --open 1 "$query")" = $((line + 1)) ] || echo "another line"
done
echo "---- \$PAGER: only one that is known to takes a line"
cp /bin/echo less
search --open 1 zebra
PAGER="./less -S" search --open 1 zebra | sed 's/+[0-9]*/+LINE/'
PAGER="echo $(printf %0600d 7)" search --open 1 zebra | tail -c 17
echo "---- LMK_OPENER; the option goes first"
LMK_OPENER="echo read {file}" search --open 1 zebra
LMK_OPENER=false search --open 1 --opener "echo {file}{file} {nothing}" zebra
echo "---- a line of a file with several documents; a file that is no text"
story 3 4 | tr -d '\n"' | sed 's/.*/{"_id": "a\/1", "text": "&"}/' >books/lines.jsonl
printf '\n{"_id": "two", "text": "The okapi hid behind a tree and waited for the rain to stop."}\n' >>books/lines.jsonl
index -c a.lmk books/lines.jsonl
search --open 1 --opener "echo {file} {line}" okapi
gzip -c books/lines.jsonl >books/packed.jsonl.gz
index -c b.lmk books/packed.jsonl.gz
mkdir bin
ln -s /bin/echo bin/xdg-open
PATH=$here/bin:$PATH "$LMK" search -q -c b.lmk --mode lexical --open 1 okapi | plain
echo "<html><body><h1>A page</h1><p>The quagga was seen by nobody in the end.</p></body></html>" >books/page.html
index -c b.lmk books/page.html
PATH=$here/bin:$PATH "$LMK" search -c b.lmk --mode lexical --open 1 quagga | plain
cp "$REPO/tests/files/alice.pdf" books
index -c b.lmk books/alice.pdf | sed 's/: [0-9,]* tokens/: N tokens/'
"$LMK" search -c b.lmk --mode lexical --open 1 --opener "echo {page} {file}" '"Do cats eat bats"' | plain
echo "---- refused"
try "$LMK" search -q -c a.lmk --mode lexical --open 7 zebra
try "$LMK" search -q -c a.lmk --open 0 zebra
try "$LMK" search -q -c a.lmk --open 1 --opener "" zebra
try "$LMK" search -q -c a.lmk --open 1 --opener "   " zebra
try "$LMK" search -q -c a.lmk --open 1 --opener "echo $(seq 31 | tr '\n' ' ') {file}" zebra
try "$LMK" search -q -c a.lmk --open 1 --opener "./no-such-program {file}" zebra
rm "books/A zoo.txt"
try "$LMK" search -q -c a.lmk --open 1 zebra
