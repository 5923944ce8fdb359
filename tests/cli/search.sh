# lmk search: ranked passages whose byte ranges lead to their text in the file.
. "$REPO/tests/cli/helpers"
mkdir books
cp "$REPO/samples/"Wilkie* books/
# a byte order mark, lines that end in CR LF, letters of two bytes; tabs, bytes that are no UTF-8
{ printf '\357\273\277# Stories of the Cañon\n\n'; story 1 60; } | sed -e 's/river/río/g' -e 's/$/\r/' >books/spanish.md
story 2 60 | sed 's/candle/c#ndlé/g' | tr '\n#' '\t\377' >"books/odd bytes.txt"
index -c a.lmk books
"$LMK" search -c a.lmk --json "Who killed John Jago?" >results.json
echo "---- JSON"
show members <results.json
show value query documents documents_ready <results.json
show places <results.json
echo "---- every passage of two short books"
mkdir two && cp books/spanish.md "books/odd bytes.txt" two/
index -c two.lmk two
"$LMK" search -c two.lmk --json --no-merge --per-document 0 --top 1000 --candidates 1000 "the río and the cândle" | show places | cut -d' ' -f3- | sort | uniq -c | awk '{ $1 = $1 > 50 ? "many" : $1; print }'
echo "---- plain, five of them"
"$LMK" search -c a.lmk --top 5 "Who killed John Jago?" 2>err >plain.txt
cat err
grep -c '^[0-9]*\. .*  (score -*[0-9.]*)$' plain.txt
grep -c '^   books/.*, bytes [0-9]*-[0-9]*$' plain.txt
sed 's/[»«]/"/g' plain.txt | awk 'length($0) > 80 && !/^[0-9]+\. / && !/bytes/ { print "too long: " $0 }'
echo "---- the same order in both, and with other threads"
"$LMK" search -c a.lmk --top 5 "Who killed John Jago?" | sed -n 's/^   books\/\(.*\), bytes \([0-9]*\)-\([0-9]*\)$/\1 \2 \3/p' >one
"$LMK" search -c a.lmk --top 5 --json "Who killed John Jago?" | show ranking | cmp - one
"$LMK" search -c a.lmk -t 2 --json "Who killed John Jago?" >threads.json
show same results.json threads.json
echo "---- scores fall, ranks rise"
"$LMK" search -c a.lmk --json --no-merge --per-document 0 --top 100 "murder" >hundred.json
/usr/bin/python3 -c '
import json
passages = json.load(open("hundred.json"))["passages"]
scores = [p["score"] for p in passages]
print(len(passages), scores == sorted(scores, reverse=True), [p["rank"] for p in passages] == list(range(1, 101)))
print(len({p["block"] for p in passages}))'
echo "---- all granularities, built by the first query, used by the second, the same results"
for granularity in question token head chunk; do
    "$LMK" search -c a.lmk -q --granularity $granularity --k 4 --json "Who killed John Jago?" >1.json || echo "exit $?"
    "$LMK" search -c a.lmk -q -g $granularity --k 4 --json "Who killed John Jago?" >2.json || echo "exit $?"
    echo $granularity
    show same 1.json 2.json | sed 's/same [0-9]* /same /'
    show places <1.json | cut -d' ' -f3- | sort | uniq -c | awk '{ $1 = ""; print }'
done
echo "---- fewer candidates than passages, empty and long queries"
"$LMK" search -c a.lmk --candidates 3 --top 7 --no-merge --json x | show ranking | wc -l
try "$LMK" search -c a.lmk ""
try "$LMK" search -c a.lmk " 	"
try "$LMK" search -c a.lmk "$(story 3 2000)"
try "$LMK" search -c a.lmk --top 1000000 x | tail -n 1
"$LMK" search -c a.lmk --top 1 "$(printf 'bad \377 bytes \033[31m <s> </s>')" >out || echo "exit $?"
[ -s out ] || echo "nothing printed"
