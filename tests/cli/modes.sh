# What finds passages: landmarks and words together, or one of them; and words that follow the store.
. "$REPO/tests/cli/helpers"
stories books 1 6 40
cat >books/names.txt <<'END'
Queequeg slept in the coffin. The harpooneer was quiet.

Dr. O'Brien of well-known Cañon City wrote to Queequeg about the coffin and its maker.
END
index -c a.lmk books
search() { "$LMK" search -c a.lmk --top 5 "$@"; }
paths() { show value path | plain; }
passages='
import json, sys
for passage in json.load(sys.stdin)["passages"]:
    print(passage["path"].rsplit("/", 1)[-1], *[name for name, score in passage["scores"].items() if score is not None])'
names() { /usr/bin/python3 -c "$passages"; }
echo "---- a name is found by words: first in lexical and hybrid, with the scores of each side"
for mode in lexical hybrid; do
    search --mode $mode --json Queequeg | names | head -n 1
done
search --mode landmark --json Queequeg | names | cut -d' ' -f2- | sort -u
search --mode hybrid --json Queequeg >1.json
search --json Queequeg >2.json
show same 1.json 2.json | sed 's/same [0-9]*/same/'
echo "---- ask, in each mode"
for mode in lexical hybrid landmark; do
    "$LMK" ask -c a.lmk --mode $mode --json -k 1 "What did Queequeg sleep in?" | names | sed "s/^story.*json/story/" | cut -d' ' -f2-
done
echo "---- stems, letters with marks, apostrophes and hyphens"
for query in sleeping canon "o'brien" "WELL-known" "coffins"; do
    echo "$query: $(search --mode lexical --no-merge --json "$query" | names | grep -c names)"
done
echo "---- the language"
count() { # passages in lexical mode, or the exit code
    search --mode lexical --no-merge --per-document 0 --top 1000 --candidates 1000 --json -- "$1" >found.json 2>err || { echo "$1: exit $?"; return; }
    echo "$1: $(names <found.json | sort | uniq -c | awk '$2 == "names.txt" { n = $1 } $2 != "names.txt" { other = 1 } END { print n + 0, other ? "and others" : "" }')"
}
count '"Queequeg slept"'
count '"slept Queequeg"'
count 'Queequeg -harpooneer'
count 'Queequeg AND maker'
count 'Queequeg AND harpooneer'
count '(maker OR fox) AND Queequeg'
count 'maker OR harpooneer -fox'
count 'xyzzy'
count '"'
count 'Queequeg AND'
count '-Queequeg'
count 'NEAR(Queequeg, coffin) * ^ : {'
echo "---- conditions hold in hybrid mode too"
search --json '"Queequeg slept"' | names
echo "---- passages of one document"
search --json --no-merge --per-document 1 --top 6 "the fox" | names | sort | uniq -d | grep -c .
search --json --no-merge --per-document 0 --top 300 --candidates 1000 "the fox" | names | sort | uniq -d | grep -c .
echo "---- fewer matches than all"
search --most-matches 5 --json "the old fox Queequeg" | names | head -n 1
search --most-matches 0 --json "the old fox Queequeg" | names | head -n 1
echo "---- the words follow: added, removed, replaced"
"$LMK" remove -c a.lmk books/names.txt
count Queequeg
index -c a.lmk books
count Queequeg
sed 's/Queequeg/Tashtego/' books/names.txt >x && mv x books/names.txt
index -c a.lmk books
count '"Tashtego slept"'
count '"Queequeg slept"'
echo "---- the file gone, cut short, nonsense: made again by the next lmk index"
words=a.lmk/generation-000001/lexical.db
for damage in "rm $words" "truncate -s 5000 $words" "cp books/names.txt $words"; do
    $damage
    echo "after ${damage%% *}"
    search --mode lexical Tashtego >out 2>err || echo "exit $?"
    plain <err | sed 's/ (.*)\./ (WHY)./'
    search --mode hybrid Tashtego >out 2>err || echo "exit $?"
    grep 'words of' err
    search --mode landmark Tashtego >out || echo "exit $?"
    index -c a.lmk books
    count '"Tashtego slept"'
done
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
echo "---- a text that rotted in it"
place=$(grep -abo 'Tashtego slept' $words | head -n 1 | cut -d: -f1)
overwrite $words "$place" 'X'
"$LMK" verify -c a.lmk >out 2>err
echo "exit $?"
plain <err
plain <out | sed -e 's/document [0-9]*/document N/' -e 's/, [0-9]* values/, N values/'
rm $words
index -c a.lmk books
"$LMK" verify -c a.lmk >out || cat out
ls a.lmk/generation-000001
echo "---- what makes no sense"
try "$LMK" search -c a.lmk --mode words fox
try "$LMK" search -c a.lmk --mode lexical -g head fox
