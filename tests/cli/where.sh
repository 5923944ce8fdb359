# lmk --where: conditions on documents, for search and ask, in every mode.
. "$REPO/tests/cli/helpers"
for number in 1 2 3 4 5 6; do
    year=$((1790 + 10 * number))
    printf '{"_id": "b%d", "title": "Book %d", "author": "%s", "language": "%s", "year": %d, "text": "%s"}\n' \
        $number $number "$([ $number -gt 3 ] && echo 'Jane Austen' || echo 'Ann Radcliffe')" \
        "$([ $number -eq 6 ] && echo fr || echo en)" $year "$(story $number 20 | tr '\n' ' ')"
done >books.jsonl
index -c a.lmk books.jsonl
found() {
    for mode in hybrid landmark lexical; do
        "$LMK" search -q -c a.lmk --mode $mode --no-merge --per-document 0 --top 1000 --json "$@" "river or clock" |
            show value passages >passages || echo "exit $?"
        /usr/bin/python3 -c '
import ast, sys
print(sys.argv[1], *sorted({p["title"] for p in ast.literal_eval(open("passages").read())}))' $mode
    done
}
echo "---- author"
found --where "author=jane austen"
echo "---- year and language"
found -w "year>1810" -w "year<1850" -w "language=en"
echo "---- title"
found -w "title~5"
echo "---- what is shown"
"$LMK" search -c a.lmk --top 20 --where "title=Book 2" river | grep -c '^[0-9]*\. Book 2, by Ann Radcliffe'
"$LMK" search -c a.lmk --top 20 --where "title=Book 2" river | grep '^[0-9]*\. ' | grep -vc 'Book 2'
echo "---- ask, by any granularity"
for granularity in question token head chunk; do
    "$LMK" ask -q -c a.lmk -g $granularity --json --where "title=Book 4" "river?" | /usr/bin/python3 -c '
import json, sys
print(*sorted({p["title"] for p in json.load(sys.stdin)["passages"]}))'
    "$LMK" search -q -c a.lmk -g $granularity --json --where "title=Book 3" river | /usr/bin/python3 -c '
import json, sys
print(*sorted({p["title"] for p in json.load(sys.stdin)["passages"]}))'
done
echo "---- nothing, and nonsense"
try "$LMK" search -c a.lmk --where "author=Homer" river
try "$LMK" ask -c a.lmk --where "year>1900" river
try "$LMK" search -c a.lmk --where "colour=red" river
try "$LMK" search -c a.lmk --where "author>3" river
try "$LMK" search -c a.lmk --where "year=soon" river
echo "---- the sentence is marked"
"$LMK" search -c a.lmk --top 1 --where "title=Book 1" river | tr '\n' ' ' | grep -o '[^ ]*»[^«»]*«' | wc -l
