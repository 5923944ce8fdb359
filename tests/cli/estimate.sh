# What indexing would take is told, and nothing is made or changed for it.
. "$REPO/tests/cli/helpers"
figures() { sed -e 's/about [0-9.]* \(s\|minutes\|hours\)/about N s/' -e 's/at [0-9,]* tokens/at N tokens/' -e 's/and [0-9.]* .B are/and N are/'; }
estimate() { try "$LMK" index --estimate -t 1 --kv f16 "$@" | figures; }
stories books 1 4 60
echo "---- no collection yet"
estimate -c a.lmk books
ls -d a.lmk 2>&1 | plain
echo "---- as it comes out"
index -c a.lmk books
echo "---- nothing new"
estimate -c a.lmk books
echo "---- some new, one changed"
stories books 5 6 60
story 99 80 >books/story-002.txt
before=$("$LMK" list -c a.lmk --json | cksum)
estimate -c a.lmk books
[ "$before" = "$("$LMK" list -c a.lmk --json | cksum)" ] && echo "the same as before"
"$LMK" index --estimate --json -t 1 --kv f16 -c a.lmk books | show value files documents tokens share_read bytes
echo "---- what waits"
"$LMK" index -q -t 1 --kv f16 --for 0.001s -c b.lmk books >/dev/null
estimate -c b.lmk books | sed -n "s/ (.*//p" # how far the texts came in that time differs
echo "---- not there"
estimate -c c.lmk nowhere
