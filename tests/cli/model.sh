# A model that is missing, damaged or no landmark model: exit 4 and a sentence, never a crash.
. "$REPO/tests/cli/helpers"
story 1 6 >one.txt
refused() {
    LMK_MODEL=$1 "$LMK" index -q -t 1 -c a.lmk --kv f16 one.txt >out 2>err
    code=$?
    [ $code = 4 ] && [ "$(wc -l <err)" = 1 ] && grep -q '^lmk: .*\.$' err && [ ! -s out ] && return 0
    echo "$1: exit $code"
    cat out err
}
for model in none.gguf . one.txt /dev/null; do
    LMK_MODEL=$model try "$LMK" index -q -c a.lmk one.txt
done
: >empty.gguf
LMK_MODEL=empty.gguf try "$LMK" search -c a.lmk query
[ ! -e a.lmk ] || echo "made a collection"
size=$(wc -c <"$LMK_MODEL")
echo "---- cut short at many places"
for length in 1 3 4 8 23 24 25 100 1000 5000 10000 20000 100000 $((size / 2)) $((size - 4096)) $((size - 64)) $((size - 1)); do
    head -c $length "$LMK_MODEL" >short.gguf
    refused short.gguf
done
echo "---- absurd counts"
for offset in 0 4 8 16 20 24; do
    cp "$LMK_MODEL" bad.gguf
    printf '\377\377\377\177' | dd of=bad.gguf bs=1 seek=$offset conv=notrunc 2>/dev/null
    refused bad.gguf
done
echo "---- bytes overwritten in the keys and the list of tensors: refused or not, but no crash"
for offset in $(seq 30 397 9000); do
    cp "$LMK_MODEL" bad.gguf
    printf '\377\377\377' | dd of=bad.gguf bs=1 seek="$offset" conv=notrunc 2>/dev/null
    rm -rf b.lmk
    LMK_MODEL=bad.gguf timeout 60 "$LMK" index -q -t 1 -c b.lmk --kv f16 one.txt >out 2>err
    code=$?
    case $code in
    0 | 2 | 3 | 4 | 9) ;;
    *) echo "offset $offset: exit $code"; cat err ;;
    esac
done
