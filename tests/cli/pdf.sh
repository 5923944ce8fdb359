# PDFs are read by pdftotext: hits lead to pages, running heads and split words are mended, scanned
# and broken ones are told of, and a reader that misbehaves is ended. groff and libreoffice made the
# files, see tests/files.
. "$REPO/tests/cli/helpers"
mkdir books bad tools
cp "$REPO/tests/files/alice.pdf" books
index -c a.lmk books | sed 's/: [0-9,]* tokens/: N tokens/'
"$LMK" list -c a.lmk --json | show value path kind title author language metadata | plain
"$LMK" search -c a.lmk -n 1 --mode lexical '"Do cats eat bats"' | sed -n 2p | plain
"$LMK" search -c a.lmk -n 1 --mode lexical --json '"marked poison"' >hit.json
/usr/bin/python3 -c 'import json; p = json.load(open("hit.json"))["passages"][0]; print(p["page"], p.get("chapter"))'
echo "---- neither heads nor page numbers are in the text"
"$LMK" search -c a.lmk --mode lexical '"Alice in Wonderland"' || echo "nothing"
echo "---- scanned, cut off, nothing but a beginning, not there, a suffix that lies, too large"
cp "$REPO/tests/files/scanned.pdf" bad
head -c 3000 books/alice.pdf >bad/cut.pdf
echo "%PDF-1.4" >bad/nothing.pdf
cp books/alice.pdf bad/book.txt
story 1 3 >bad/story.pdf
{ echo "%PDF-1.4"; echo; } >bad/huge.pdf
truncate -s 1100M bad/huge.pdf
index -c b.lmk bad | sed 's/: [0-9,]* tokens/: N tokens/; s/(\(Syntax\|I.O\|Command\)[^)]*)/(reason)/'
"$LMK" list -c b.lmk --json | show value path kind | plain
echo "---- a reader that is missing, crashes, never stops printing, says it wants a password"
code=0
PATH=/nowhere "$LMK" index -q -c c.lmk --kv f16 books >missing 2>&1 || code=$?
plain <missing
echo "exit $code"
tool() {
    printf '#!/bin/sh\n%s\n' "$1" >tools/pdftotext
    chmod +x tools/pdftotext
    PATH=$PWD/tools:$PATH index -c c.lmk books
}
tool 'kill -9 $$'
tool 'exec yes'
tool 'echo "Command Line Error: Incorrect password" >&2; exit 1'
tool 'echo "Syntax Error: something" >&2; echo second >&2; exit 1'
tool 'echo text >written.txt; cat /dev/stdin | head -c 5; printf "\nA text that is long enough for a page.\n\f"'
wc -c <written.txt
"$LMK" search -c c.lmk --mode lexical text | tail -n 3
