# ask --picture: a sound SVG that shows the blocks that ask says it read, where they lie.
. "$REPO/tests/cli/helpers"
stories books 1 9 30
{ printf '# A <b>&amp;</b> "title" \001\033[31m\n\n'; story 77 40; } >"books/<&>.md"
index -c a.lmk books
"$LMK" ask -q -c a.lmk --k 5 --json --picture p.svg "What did the <fox> & the \"widow\" do?" >answer.json
echo "exit $?"
cat >check.py <<'END'
import json, sys, xml.dom.minidom
answer = json.load(open("answer.json"))
documents = {d["id"]: d for d in (json.loads(line) for line in open("list.json"))}
svg = xml.dom.minidom.parse("p.svg").documentElement
marks = [r for r in svg.getElementsByTagName("rect") if r.getAttribute("fill") == "#b03a2e"]
bars = [r for r in svg.getElementsByTagName("rect") if r.getAttribute("class") == "bar"]
texts = [(t.getAttribute("class"), t.firstChild.data) for t in svg.getElementsByTagName("text")]
height = int(svg.getAttribute("viewBox").split()[3])
print("marks", len(marks), "numbers", sorted(t for kind, t in texts if kind == "number"))
print("all inside:", all(0 < float(t.getAttribute("y")) < height and float(t.getAttribute("x")) < 900
                         for t in svg.getElementsByTagName("text")))
# A bar is as long as its document, and each mark lies at its block's place in its document's bar.
longest = max(float(b.getAttribute("width")) for b in bars)
places = []
first = 0
for d in sorted(documents.values(), key=lambda d: d["id"]):
    d["first"], first = first, first + d["blocks"]
most = max(d["blocks"] for d in documents.values())
wanted = sorted(round(longest * (p["block"] - documents[p["document"]]["first"]) / most) for p in answer["passages"])
print("places:", wanted == sorted(round(float(m.getAttribute("x")) - 300) for m in marks))
shades = [float(m.getAttribute("fill-opacity")) for m in marks]
print("darkest:", max(shades), "all of them visible:", min(shades) >= 0.25)
print([t for kind, t in texts if kind == "question"])
shown = [t for kind, t in texts if kind == "share"]
print("shares:", [t.split()[1] for t in shown] == ["%.0f" % (100 * p["share"]) for p in answer["passages"]])
print([t for kind, t in texts if kind == "note"])
print([t for kind, t in texts if kind == "name" and "title" in t])
END
"$LMK" list -c a.lmk --json >list.json
/usr/bin/python3 check.py
echo "---- the document with the strange title alone"
index -c b.lmk "books/<&>.md"
"$LMK" ask -q -c b.lmk --k 3 --picture p.svg fox >out
echo "exit $?, $(grep -c '^Passages read' out)"
/usr/bin/python3 -c 'import xml.dom.minidom
texts = xml.dom.minidom.parse("p.svg").getElementsByTagName("text")
print([t.firstChild.data for t in texts if t.getAttribute("class") == "name"])'
echo "---- refused"
"$LMK" ask -q -c a.lmk --picture no/such.svg fox 2>&1 >out | plain
"$LMK" ask -q -c a.lmk --picture /dev/full fox 2>&1 >out | plain
try "$LMK" ask -q -c a.lmk --picture "" fox
