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
# What a killed writer leaves: the words only in SQLite's journal, whose index is not copied.
chmod u+w .
cp -r a.lmk killed.lmk
chmod -R u+w killed.lmk
/usr/bin/python3 - killed.lmk/generation-000001/lexical.db <<'PYTHON'
import os
import sqlite3
import sys

words = sqlite3.connect(sys.argv[1], isolation_level=None)
rows = words.execute("SELECT rowid, text FROM words").fetchall()
words.execute("DELETE FROM words")
words.execute("PRAGMA journal_mode=WAL")
words.execute("BEGIN")
words.executemany("INSERT INTO words(rowid, text) VALUES(?, ?)", rows)
words.execute("COMMIT")
os._exit(0)
PYTHON
ls killed.lmk/generation-000001
rm killed.lmk/generation-000001/lexical.db-shm
chmod -R a-w killed.lmk
for collection in a killed; do
    as "$LMK" search -c $collection.lmk --mode lexical --json fox | only_value
    show ranking <"$TMPDIR/said"
done
as "$LMK" verify -c killed.lmk | tail -n 2 | sed 's/, [0-9]* values/, N values/'
mkdir locked
story 1 3 >locked/one.txt
chmod 000 locked/one.txt books/story-002.txt
chmod 777 .
as "$LMK" index -q -t 1 --kv f16 -c mine.lmk books | sed 's/ in [0-9.]* s, .*$//'
chmod 000 locked
as "$LMK" index -q -t 1 --kv f16 -c mine.lmk locked
chmod -R u+rwx .
echo "---- a folder that may not be read among others: its documents stay"
mkdir shelf shelf/inner
story 5 6 >shelf/one.txt
story 6 6 >shelf/inner/two.txt
shelve() { as "$LMK" index -q -t 1 --kv f16 -c shelf.lmk "$@" shelf | sed 's/ in [0-9.]* s, .*$//'; }
shelve
chmod 000 shelf/inner
rm shelf/one.txt
story 7 6 >shelf/three.txt
shelve --prune
as "$LMK" list -c shelf.lmk | grep shelf
chmod -R u+rwx .
