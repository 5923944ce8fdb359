# Indexing again: what is there is skipped, what changed is replaced, what moved keeps its index.
. "$REPO/tests/cli/helpers"
mkdir books
for number in 1 2 3; do
    story $number 12 >books/$number.txt
done
# Two runs within a second: the time of a file must not hide a change, so each gets its own.
stamp() { touch -d "2020-01-01 00:00:$1" "$2"; }
ids() { "$LMK" list -c a.lmk --json | show value id state path | plain; }
count() { "$LMK" index -q -t 1 --kv f16 -c a.lmk --json books | show value documents documents_added documents_replaced documents_unchanged files files_skipped; }

echo "---- first: documents run, added, replaced, unchanged, files, left out"
count; ids
echo "---- again"
count; ids
echo "---- only the time changed"
stamp 1 books/1.txt
count; ids
echo "---- a changed text"
story 4 13 >books/2.txt
count; ids
echo "---- the same size, another time"
tr e a <books/2.txt >x && mv x books/2.txt && stamp 2 books/2.txt
count; ids
echo "---- a new file"
story 5 12 >books/0.txt
count; ids
echo "---- a moved file"
mkdir books/sub && mv books/3.txt books/sub/3.txt
count; ids
echo "---- the same text twice, also with other line ends"
cp books/1.txt books/1-copy.txt
sed 's/$/\r/' books/1.txt >books/1-dos.txt
count; ids
echo "---- the first of the copies gets another text"
story 6 12 >books/1.txt
count; ids
echo "---- two files change places"
mv books/0.txt x && mv books/2.txt books/0.txt && mv x books/2.txt
count; ids
echo "---- one takes the place of another, which moved on"
mv books/2.txt books/9.txt && story 7 12 >books/2.txt
count; ids
echo "---- a file gets the text of another"
cp books/9.txt books/2.txt
count; ids
echo "---- removed, indexed again"
try "$LMK" remove -c a.lmk books/9.txt
count; ids
echo "---- in the end"
count
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
for id in $("$LMK" list -c a.lmk --json | show value id); do echo "$id"; done | sort | uniq -d
"$LMK" search -c a.lmk --json --no-merge --top 30 "what did the fox carry" | show places | sort | cut -d' ' -f3- | sort | uniq -c | sed 's/^ *//'
echo "---- the last object that index --json prints"
"$LMK" index -q -t 1 -c b.lmk --kv f16 --json books | tail -n 1 >report.json
show members <report.json
/usr/bin/python3 -c '
import json
report = json.load(open("report.json"))
print(report["documents"], report["tokens"] > 1000, report["seconds"] >= report["model_seconds"] > 0)
rate = report["tokens_per_second"]
print(report["tokens"] / report["seconds"] <= rate * 1.001, rate <= 1.001 * report["tokens"] / report["model_seconds"])'
