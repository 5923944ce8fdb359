# list, info, verify and remove.
. "$REPO/tests/cli/helpers"
mkdir books
story 1 12 >"books/Ann Author - The First Book.txt"
story 2 24 >"books/Ben Writer - The Second Book.txt"
story 3 12 >"books/Ann Author - Twice.txt"
story 4 12 >"books/Ben Writer - Twice.txt"
printf '# A Title in Markdown\n\n%s\n' "$(story 5 12)" >books/five.md
index -c a.lmk books
echo "---- list"
list a.lmk
"$LMK" list -c a.lmk --json >list.json
show members <list.json
show value id state kv kind blocks tokens source_bytes text_bytes title author <list.json
for file in books/*; do wc -c <"$file"; done | tr '\n' ' '; echo
show value hash <list.json | grep -cx '[0-9a-f]\{32\}'
echo "---- info"
"$LMK" info -c a.lmk | sed -n '/^on disk/q;p' | sed 's/fingerprint .*/fingerprint/'
"$LMK" info -c a.lmk --json >info.json
show members <info.json
show value documents documents_ready blocks blocks_ready tokens kv format_version segments <info.json
/usr/bin/python3 -c '
import json, os
info = json.load(open("info.json"))
sizes = info["bytes"]
print("file", sizes["file"] == os.path.getsize("a.lmk/%s/data.mdb" % info["generation"]))
parts = sum(sizes[name] for name in ("text", "landmarks", "keys_values", "other"))
print("parts fit", 0 < parts <= sizes["file"])'
echo "---- verify"
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
"$LMK" verify -c a.lmk --json >verify.json
show value documents blocks segments problems <verify.json
echo "---- remove: by id, by path, by title (two of them), several at once, none"
try "$LMK" remove -c a.lmk 1
try "$LMK" remove -c a.lmk books/five.md
try "$LMK" remove -c a.lmk Twice
list a.lmk
try "$LMK" remove -c a.lmk 1
try "$LMK" remove -c a.lmk "No Such Book"
try "$LMK" remove -c a.lmk 99999999999999999999999999
try "$LMK" remove -c a.lmk ""
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
echo "---- only the one left is found"
"$LMK" search -c a.lmk --json --top 1000 fox | show ranking | cut -d' ' -f1-5 | sed 's/\.txt.*//' | sort -u
echo "---- with the files still there, they come back under new ids"
index -c a.lmk books
list a.lmk | grep -v '^ *books'
"$LMK" remove -c a.lmk --json 7 6 | show value removed
echo "---- everything removed"
"$LMK" list -c a.lmk --json | show value id | xargs "$LMK" remove -q -c a.lmk
try "$LMK" list -c a.lmk
try "$LMK" search -c a.lmk fox
try "$LMK" verify -c a.lmk
"$LMK" info -c a.lmk --json | show value documents blocks tokens source_bytes text_bytes
index -c a.lmk books
