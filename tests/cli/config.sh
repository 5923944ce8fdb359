# The configuration file, the environment, and the collections that `lmk index` remembers.
. "$REPO/tests/cli/helpers"
stories books 1 3 12
index() { "$LMK" index -q -t 1 --kv f16 "$@" 2>&1 | sed 's/ in [0-9.]* s, .*$//' | plain; }
found() { "$LMK" search --json "$@" fox >found.json 2>err || { echo "exit $?"; plain <err; return; }; show ranking <found.json | wc -l; }
config() { mkdir -p .config/lmk; printf '%s\n' "$@" >.config/lmk/config; }
echo "---- nothing known"
try "$LMK" search fox
try "$LMK" list
try "$LMK" info
try "$LMK" index no-such-folder
[ ! -e .local ] || find .local
echo "---- the first collection, without a name"
"$LMK" index -t 1 --kv f16 books 2>&1 | sed -e 's/ in [0-9.]* s, .*$//' -e '/of 3 files\|tokens.s/d' | plain
list .local/share/lmk/library.lmk | wc -l
"$LMK" list | wc -l
found
echo "---- the same again goes into the same"
index books
plain <.local/state/lmk/collections
echo "---- a second one"
index -c other.lmk books/story-001.txt
index -c other.lmk books/story-001.txt
found
try "$LMK" index books
LMK_COLLECTION=other.lmk "$LMK" list | wc -l
LMK_COLLECTION= try "$LMK" list
plain <.local/state/lmk/collections
echo "---- the one that is left, from any folder"
rm -r .local/share/lmk/library.lmk
(cd books && "$LMK" list | wc -l)
mv other.lmk elsewhere.lmk
try "$LMK" list
index -c elsewhere.lmk books
echo "---- more than the sentence names"
for number in 1 2 3 4 5 6; do
    index -c $number.lmk books/story-001.txt >/dev/null
done
try "$LMK" list
echo "---- configuration: option, environment and setting, in this order"
config "# mine" "" "  collection =  ~/elsewhere.lmk  " "top = 2" "mode=lexical" "kv = f16"
found
found --top 1
found -c 1.lmk
LMK_COLLECTION=2.lmk "$LMK" list | wc -l
"$LMK" search --json fox | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["passages"][0]["scores"]["landmark"])'
"$LMK" search --json --mode hybrid fox | /usr/bin/python3 -c 'import json, sys; print(type(json.load(sys.stdin)["passages"][0]["scores"]["landmark"]))'
config "json = yes" "quiet = no"
"$LMK" list -c 1.lmk | show value schema
config "json = no"
"$LMK" list -c 1.lmk | head -c 10
echo
echo "---- other places"
mkdir -p xdg/lmk
echo "collection = nowhere.lmk" >xdg/lmk/config
XDG_CONFIG_HOME=$here/xdg try "$LMK" list
XDG_CONFIG_HOME=xdg "$LMK" list -c 1.lmk | wc -l
XDG_STATE_HOME=$here/state XDG_DATA_HOME=$here/data try "$LMK" list
XDG_STATE_HOME=$here/state XDG_DATA_HOME=$here/data index books/story-001.txt
plain <state/lmk/collections
HOME= "$LMK" list -c 1.lmk | wc -l
HOME= try "$LMK" index books
echo "---- mistakes"
for line in "colection = x" "top = many" "top" "generate = perhaps" "help = yes" "open = 1" "= 3" "mode = " "top = 0" "top = 5 # five"; do
    config "# first" "$line"
    try "$LMK" search -c 1.lmk fox
done
config "mode = words"
try "$LMK" list -c 1.lmk
"$LMK" list --help | head -n 1
"$LMK" help >/dev/null || echo "exit $?"
printf 'top = 3\0' >.config/lmk/config
try "$LMK" list -c 1.lmk
head -c 70000 /dev/zero | tr '\0' '#' >.config/lmk/config
try "$LMK" list -c 1.lmk
rm .config/lmk/config
mkdir .config/lmk/config
try "$LMK" list -c 1.lmk
echo "---- a list that cannot be written is no failure"
rm -r .config/lmk/config .local/state
: >.local/state
index -c 7.lmk books/story-001.txt
