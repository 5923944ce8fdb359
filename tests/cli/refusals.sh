# Bad input gets a sentence and the exit code of its kind, and leaves what is there as it was.
. "$REPO/tests/cli/helpers"
mkdir books
stories books 1 2 6
index -q -c a.lmk books >/dev/null
"$LMK" list -c a.lmk >before
echo "---- no such collection"
for command in list info verify "search query" "ask question" "remove 1"; do
    try "$LMK" ${command%% *} -c none.lmk $(echo "$command" | cut -s -d' ' -f2)
done
[ ! -e none.lmk ] || echo "made one"
try "$LMK" list -c books
try "$LMK" list -c before
try "$LMK" list -c no/such/folder.lmk
index -c books books
index -c before books
index -c no/such/folder.lmk books
echo "---- nothing to read"
mkdir bare empty
index -c a.lmk bare
index -c a.lmk missing
index -c a.lmk books missing
index -c a.lmk /dev/null
: >empty/empty.txt
printf ' \n\t\n' >empty/blank.txt
head -c 5000 "$LMK" >empty/binary.txt
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "\351\350\340 " }' >empty/latin.txt
printf '\377\376a\000\000\000' >empty/utf16.txt
index -c a.lmk empty
index -c a.lmk empty books
mkfifo pipe.txt
index -c a.lmk pipe.txt
echo "---- an index of nothing makes no documents"
index -c fresh.lmk bare
try "$LMK" list -c fresh.lmk
echo "---- another model"
try "$LMK" search -c a.lmk -m "$REPO/tests/golden/tiny-slot-all.gguf" query | sed 's/fingerprint [0-9a-f]\{32\}/fingerprint NUMBER/g'
try "$LMK" index -c a.lmk -m "$REPO/tests/golden/tiny-slot-all.gguf" books | sed 's/fingerprint [0-9a-f]\{32\}/fingerprint NUMBER/g'
echo "---- tiers that do not fit the heads, an impossible landmark index"
try "$LMK" index -q -c q.lmk --kv q8_0 books
try "$LMK" index -q -c q.lmk books
index -c q.lmk books
index -c f.lmk --ann Nonsense,7 books
index -c f.lmk --ann IVF0,Flat books
try "$LMK" list -c f.lmk
index -c f.lmk --ann Flat books
echo "---- names that could steer a terminal"
mkdir steer
esc=$(printf '\033')
story 9 6 >"steer/${esc}[31mred.txt"
: >"steer/${esc}]0;title.txt"
index -c s.lmk steer | cat -v
list s.lmk | cat -v
"$LMK" search -c s.lmk --no-merge --mode landmark fox | grep bytes | cat -v
"$LMK" list -c s.lmk --json | show value title
echo "---- a name that is no UTF-8"
story 10 6 >"$(printf 'steer/\377name.txt')"
index -c s.lmk steer >/dev/null
"$LMK" list -c s.lmk --json | show value id
echo "---- after all this"
"$LMK" list -c a.lmk | cmp - before
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
