# A disk that fills up (here: a limit on the size of files) ends indexing with exit 7 and a
# sentence; what was committed is there, and with room again the same command goes on.
. "$REPO/tests/cli/helpers"
stories books 1 4 40
index -c a.lmk books
"$LMK" list -c a.lmk --json >before.json
stories books 5 12 150
"$LMK" index -q -t 1 -c whole.lmk --kv f16 books >/dev/null
size=$(wc -c <whole.lmk/generation-000001/data.mdb)
"$LMK" index -q -t 1 -c part.lmk --kv f16 books/story-001.txt >/dev/null
for percent in 0 1 10 50 90; do
    for collection in a new; do
        rm -rf now.lmk
        [ $collection = new ] || cp -r a.lmk now.lmk
        (
            ulimit -f $((size * percent / 100 / 512))
            "$LMK" index -q -t 1 -c now.lmk --kv f16 books 2>&1 | tail -n 1 >out
        )
        "$LMK" list -c now.lmk --json >after.json 2>err
        code=$?
        case $collection-$code in
        a-0)
            show value hash state <after.json >after
            show value hash state <before.json | grep -vxFf after
            ;;
        new-0 | new-5) ;;
        *) echo "$percent % of $collection: list ends with $code: $(cat err)" ;;
        esac
        [ $code = 5 ] || "$LMK" verify -c now.lmk >out 2>&1 || cat out
        index -c now.lmk books >out
        "$LMK" list -c now.lmk --json | show value hash state | sort >now
        "$LMK" list -c whole.lmk --json | show value hash state | sort | cmp - now
    done
done
echo "---- what it says"
cp -r a.lmk b.lmk
(ulimit -f $((size / 1024)) && try "$LMK" index -q -t 1 -c b.lmk books)
none() { (ulimit -f 0 && "$LMK" "$@"; echo "exit $?") 2>&1 | plain; }
none index -q -t 1 -c c.lmk --kv f16 books
none remove -c b.lmk 1
try "$LMK" verify -c b.lmk | sed 's/^[0-9]* documents, .*checked/documents checked/'
