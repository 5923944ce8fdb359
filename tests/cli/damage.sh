# Bytes that rotted in the store: verify names them, queries refuse them, nothing crashes, and
# nothing wrong is shown.
. "$REPO/tests/cli/helpers"
stories books 1 12 42
index -c whole.lmk books
data=a.lmk/generation-000001/data.mdb
fresh() { rm -rf a.lmk && cp -r whole.lmk a.lmk; }
"$LMK" verify -c whole.lmk --json | show value documents blocks segments problems
"$LMK" info -c whole.lmk --json | show value segments segment_blocks blocks
blocks=$("$LMK" info -c whole.lmk --json | show value blocks)
"$LMK" search -c whole.lmk --json --no-merge --per-document 0 --top 1000 --candidates 1000 fox >whole.json

echo "---- a byte flipped, in many places, one copy each"
# A query may miss the damage; then its result is the undamaged one. Damage that is met is exit 6.
size=$(wc -c <whole.lmk/generation-000001/data.mdb)
missed=0 found=0 refused=0 same=0
for offset in $(seq 8200 $((4096 * 47 + 1234)) "$size"); do
    fresh
    byte=$(dd if=$data bs=1 skip="$offset" count=1 2>/dev/null | od -An -tu1)
    printf "\\$(printf %o $((byte ^ 255)))" | dd of=$data bs=1 seek="$offset" conv=notrunc 2>/dev/null
    "$LMK" verify -c a.lmk >problems 2>err
    code=$?
    case $code in
    0) missed=$((missed + 1)) ;;
    6) found=$((found + 1)) ;;
    *) echo "verify at $offset: exit $code"; cat err ;;
    esac
    "$LMK" search -c a.lmk --json --no-merge --per-document 0 --top 1000 --candidates 1000 fox >now.json 2>err
    search=$?
    case $search in
    0) verdict=$(show same whole.json now.json)
        [ "$verdict" = "the same $blocks passages" ] && same=$((same + 1)) ||
        echo "byte $offset flipped: $verdict" ;;
    6) refused=$((refused + 1)); grep -q '^lmk: .*\.$' err || cat err
        [ $code = 6 ] || echo "search at $offset found what verify did not: $(cat err)" ;;
    *) echo "search at $offset: exit $search"; cat err ;;
    esac
done
[ $found -gt $((missed * 3)) ] || echo "verify found only $found of $((missed + found))"
[ $refused -gt 0 ] && [ $same -gt 0 ] || echo "met $refused, not met $same"

echo "---- a page in the middle overwritten"
fresh
dd if=/dev/zero of=$data bs=4096 seek=$((size / 8192)) count=3 conv=notrunc 2>/dev/null
"$LMK" verify -c a.lmk >problems 2>err
echo "exit $?, $(grep -c . err) sentence"
grep -q damaged err || cat err
echo "---- the file cut short, empty, gone, something else"
for length in $((size * 9 / 10)) $((size / 2)) 8192 4096 100 0; do
    fresh
    truncate -s $length $data
    for command in verify list info "search fox" "index books"; do
        set -- $command
        "$LMK" "$@" -c a.lmk >out 2>err
        code=$?
        case $code in 5 | 6) ;; *) echo "$command with $length bytes: exit $code"; cat err ;; esac
        grep -q '^lmk: .*\.$' err || echo "no sentence: $(cat err)"
    done
done
for change in "rm $data" "cp books/story-001.txt $data" "rm -r a.lmk/generation-000001" "chmod 644 a.lmk/CURRENT"; do
    fresh
    $change
    [ "${change%% *}" = chmod ] && echo generation-../../x >a.lmk/CURRENT
    "$LMK" list -c a.lmk >out 2>err
    code=$?
    case $code in 5 | 6 | 7) ;; *) echo "after $change: exit $code" ;; esac
    grep -q '^lmk: .*\.$' err || echo "no sentence: $(cat err)"
done
for content in "" "generation-000001" "generation-000002
" "nonsense
"; do
    fresh
    printf '%s' "$content" >a.lmk/CURRENT
    try "$LMK" list -c a.lmk
done
echo "---- a segment of the landmark index: flipped, cut short, gone"
for damage in flip cut remove; do
    fresh
    segment=$(ls a.lmk/generation-000001/landmarks/joint-*.faiss)
    case $damage in
    flip) overwrite "$segment" 20000 'x' ;;
    cut) truncate -s 10000 "$segment" ;;
    remove) rm "$segment" ;;
    esac
    echo "$damage"
    try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
    try "$LMK" search -c a.lmk fox
    [ $damage = remove ] || rm "$segment" # as the sentence says
    index -c a.lmk books
    try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
    "$LMK" search -c a.lmk --json --no-merge --per-document 0 --top 1000 --candidates 1000 fox >now.json
    show same whole.json now.json
done
echo "---- a lock file that is damaged, or gone"
fresh
printf 'nonsense' >a.lmk/writer.lock
rm -f a.lmk/generation-000001/lock.mdb
try "$LMK" list -c a.lmk | tail -n 1
index -c a.lmk books
