# lmk eval passkey and needle: the smallest model ranks without sense and never writes the number,
# but where every block is read, the needle's is among them.
. "$REPO/tests/cli/helpers"
values='
import json, sys
o = json.load(sys.stdin)
print(o["command"], o["blocks"], o["text"], o["seed"], *o["modes"])
for name, m in o["modes"].items():
    assert m["recall@1"] <= m["recall@%d" % o["blocks"]]
    print(name, "read", m["recall@%d" % o["blocks"]], "right", m["exact_match"])
    for cell in m["cells"]:
        assert abs(cell["tokens"] / cell["length"] - 1) < 0.15, cell
        print(" ", cell["length"], cell["depth"], cell["texts"], cell["recall@%d" % o["blocks"]])
'
evaluate() { "$LMK" eval "$@" -q --kv f16 --max-tokens 3; }
echo "---- a pass key, anywhere"
evaluate passkey --lengths 512,1000 --runs 2 -k 30 --json >1.json
/usr/bin/python3 -c "$values" <1.json
evaluate passkey --lengths 512,1000 --runs 2 -k 30 --json | cmp - 1.json && echo "the same again"
echo "---- a needle, at three depths of real text, with a picture"
story 17 200 >story.txt
evaluate needle --lengths 512 --depths 3 --runs 1 -k 30 --text story.txt --svg map.svg --json >2.json
/usr/bin/python3 -c "$values" <2.json
/usr/bin/python3 -c '
import xml.dom.minidom
picture = xml.dom.minidom.parse("map.svg")
print(len(picture.getElementsByTagName("rect")), "rectangles")
print([text.firstChild.data for text in picture.getElementsByTagName("text")][:5])'
echo "---- as tables: all blocks are read"
evaluate needle --lengths 512 --depths 2 --runs 1 -k 30 | sed 's/^\( *[0-9]* *[0-9]*  \) [0-9.]* ([0-9. ]*)/\1 N (N N)/'
echo "---- refused"
try "$LMK" eval needle --lengths 512,
try "$LMK" eval needle --lengths 100
try "$LMK" eval needle --lengths 512x
try "$LMK" eval needle --depths 102
try "$LMK" eval passkey extra
echo short >short.txt
try "$LMK" eval passkey --text short.txt
try "$LMK" eval passkey --text missing.txt
[ -z "$(ls -A "$TMPDIR" | grep lmk-eval)" ] || echo "left behind"
