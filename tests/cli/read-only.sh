# A collection that may only be read can be queried; writing to it is refused with exit 7.
. "$REPO/tests/cli/helpers"
cp "$LMK" program
cp "$LMK_MODEL" model.gguf
LMK=$here/program
export LMK_MODEL=$here/model.gguf
stories books 1 3 12
index -c a.lmk books
chmod -R a-w a.lmk books
chmod a-w .
user=
if [ "$(id -u)" = 0 ]; then # root may write everywhere: be nobody
    chmod a+x .. .
    user="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
as() { LC_ALL=C $user "$@" >"$TMPDIR/said" 2>&1; code=$?; plain <"$TMPDIR/said"; echo "exit $code"; }
only_value() { sed 's/^{"schema":1,"command":"\([a-z]*\)".*/\1/'; }
as "$LMK" list -c a.lmk | tail -n 2
as "$LMK" verify -c a.lmk | tail -n 2 | sed 's/, [0-9]* values/, N values/'
as "$LMK" search -c a.lmk --top 1 --json fox | only_value
as "$LMK" search -c a.lmk --top 1 --granularity head --json fox | only_value
as "$LMK" ask -c a.lmk --granularity token --json fox | only_value
as "$LMK" index -c a.lmk books
as "$LMK" remove -c a.lmk 1
as "$LMK" index -c new.lmk books
chmod u+w .
mkdir locked
story 1 3 >locked/one.txt
chmod 000 locked/one.txt books/story-002.txt
chmod 777 .
as "$LMK" index -q -t 1 --kv f16 -c mine.lmk books | sed 's/ in [0-9.]* s, .*$//'
chmod 000 locked
as "$LMK" index -q -t 1 --kv f16 -c mine.lmk locked
chmod -R u+rwx .
