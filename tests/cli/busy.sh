# While one process indexes: a second writer is refused and told who it is; readers go on.
. "$REPO/tests/cli/helpers"
mkdir books more
split -C 20000 -d --additional-suffix .txt "$REPO/samples/"Michael* books/candle-
split -C 20000 -d --additional-suffix .txt "$REPO/samples/"Lewis* books/alice-
story 1 30 >more/one.txt
index -c a.lmk more
"$LMK" index -q -t 1 -c a.lmk books >first.out 2>&1 &
writer=$!
started() { # the words of all are there, the model still has work
    "$LMK" info -c a.lmk --json | grep -q '"documents_words":21' &&
        "$LMK" list -c a.lmk --json | grep -q '"state":"text"'
}
wait_until 60 started
"$LMK" index -q -t 1 -c a.lmk more >second.out 2>&1
echo "second writer: exit $?"
sed "s/process $writer/process NUMBER/" second.out
"$LMK" remove -c a.lmk 1 >second.out 2>&1
echo "remover: exit $?"
"$LMK" list -c a.lmk --json | show value state | sort -u | grep -x ready
"$LMK" search -c a.lmk --json "candle and rabbit" >during.json 2>during.err
echo "search: exit $?"
show places <during.json | grep -c right
show value documents <during.json
"$LMK" search -q -g token -c a.lmk --json "candle and rabbit" | show value command
"$LMK" ask -q -c a.lmk --json "candle and rabbit" | show value command
"$LMK" info -c a.lmk --json | show value documents
kill -0 $writer 2>/dev/null || echo "the machine was so fast that nothing was tested"
sed 's/[0-9]* of 21/some of 21/' during.err
wait $writer
echo "first writer: exit $?"
sed 's/: [0-9,]* tokens in .*//' first.out
"$LMK" list -c a.lmk --json | show value state | sort | uniq -c | sed 's/^ *//'
"$LMK" remove -c a.lmk 1
