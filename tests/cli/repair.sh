# verify --repair: a byte flipped in keys, landmarks, the landmark index or the words is made good
# again from the texts; one in a text is told, and stays.
. "$REPO/tests/cli/helpers"
stories books 1 8 60
"$LMK" index -q -t 1 -c whole.lmk --kv f16 books >/dev/null
"$LMK" search -q --json -c whole.lmk "golden fox" >whole.json
"$LMK" export -c whole.lmk | sed 's|whole|a|' >whole.export
cat >flip.py <<'PYTHON'
"""Flips a byte of a long value of data.mdb: flip.py FILE KIND. The header of a value (u64 first block,
u32 count, u32 row type) tells keys and values (type 1, which is f16) from landmarks and texts (0), and
the texts are what was written first."""
import sys
name, kind = sys.argv[1:]
data = bytearray(open(name, "rb").read())
rows = 1 if kind == "keys_values" else 0
found = []
for page in range(2 * 4096, len(data), 4096):
    first, count, type = (int.from_bytes(data[page + a:page + b], "little")
                          for a, b in ((16, 24), (24, 28), (28, 32)))
    if data[page + 10] & 4 and 0 < count <= 64 and first < 400 and type == rows:
        found.append(page + 632)
data[found[0 if kind == "texts" else -1]] ^= 0x10
open(name, "wb").write(data)
PYTHON
check() { # what is as in the collection that was never damaged
    "$LMK" verify -c a.lmk >after || cat after
    "$LMK" search -q --json -c a.lmk "golden fox" >a.json
    show same whole.json a.json
    "$LMK" export -c a.lmk | cmp - whole.export
}
for kind in keys_values landmarks; do
    echo "---- $kind"
    cp -r whole.lmk a.lmk
    /usr/bin/python3 flip.py a.lmk/generation-000001/data.mdb $kind
    "$LMK" verify -c a.lmk >found
    echo "verify ends with $?"
    try "$LMK" verify -q -t 1 -c a.lmk --repair | sed -e "s/of block.*/of block N/"
    check
    rm -r a.lmk
done
echo "---- the landmark index and the words"
cp -r whole.lmk a.lmk
overwrite a.lmk/generation-000001/landmarks/*.faiss 5000 XXXX
overwrite a.lmk/generation-000001/lexical.db 20000 XXXX
"$LMK" verify -c a.lmk >/dev/null 2>&1
echo "verify ends with $?"
"$LMK" search -q -c a.lmk --mode landmark "golden fox" 2>&1 | sed 's/segment .* is damaged/segment NAME is damaged/'
"$LMK" search -q -c a.lmk --mode landmark "golden fox" >/dev/null 2>&1
echo "search ends with $?"
"$LMK" verify -q -t 1 -c a.lmk --repair --json >repaired.json
echo "exit $?"
show members <repaired.json
show value documents_repaired segments_repaired words_repaired problems_left <repaired.json
check
echo "---- nothing to repair"
try "$LMK" verify -q -c a.lmk --repair
echo "---- a text"
/usr/bin/python3 flip.py a.lmk/generation-000001/data.mdb texts
try "$LMK" verify -q -t 1 -c a.lmk --repair | sed 's/of block.*/of block N/' | uniq | sed 's/^[0-9]* problems found, [0-9]*/N problems found, N/'
