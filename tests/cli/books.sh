# Books in HTML and EPUB: what they are named, what is left out, where hits lead; broken ones are
# told of and left out. The files were made by pandoc, see tests/files.
. "$REPO/tests/cli/helpers"
mkdir books
cp "$REPO/tests/files/alice.html" books
cp "$REPO/tests/files/alice.epub" books
index -c a.lmk books/alice.epub
index -c a.lmk books
"$LMK" list -c a.lmk --json | show value path kind title author language metadata | plain
for words in '"poor little Bill"' '"Do cats eat bats"' '"solemnly presented the thimble"' '"an editor added"' '"Down the Rabbit-Hole"'; do
    "$LMK" search -c a.lmk -n 1 --mode lexical "$words" | sed -n '2p' | plain
done
"$LMK" search -c a.lmk -n 1 --mode lexical --json '"solemnly presented the thimble"' >hit.json
/usr/bin/python3 - <<'END'
import json
passage = json.load(open("hit.json"))["passages"][0]
print(*["%s: %s" % (name, passage.get(name)) for name in ("chapter", "heading", "page", "metadata")], sep="\n")
print("thimble" in passage["text"])
END
"$LMK" ask -c a.lmk -k 1 --mode lexical --no-generate thimble | grep 'Alice' | plain | sort -u
echo "---- a page in another encoding, and one whose suffix lies"
printf '<html><head><meta charset="iso-8859-1"><title>Caf\351</title></head><body><p>Le caf\351 est ferm\351, et il est tard pour les autres.</p>' >cafe.html
printf '<!DOCTYPE html><title>No text</title><p>A page with the suffix of a text.</p>' >page.txt
index -c b.lmk cafe.html page.txt
"$LMK" list -c b.lmk --json | show value path kind title language text_bytes | plain
echo "---- places in a page before its first heading, and in one without any"
{ echo "<title>A page</title>"; for i in 1 2 3; do echo "<p>"; story $i 12; done; echo "<p>Only a quagga here.<p>"; story 7 12;
    echo "<h1>At last</h1><p>Then an okapi."; } >late.html
{ echo "<title>Another page</title>"; for i in 4 5 6; do echo "<p>"; story $i 12; done; echo "<p>A lonely zebra."; } >plain.html
index -c c.lmk late.html plain.html
for words in quagga okapi zebra; do
    "$LMK" search -c c.lmk -n 1 --mode lexical $words | sed -n 2p | plain
done
"$LMK" search -c c.lmk -n 1 --mode lexical --json zebra |
    /usr/bin/python3 -c 'import json, sys; p = json.load(sys.stdin)["passages"][0]; print(p["kind"], p["position"])'
echo "---- broken and hostile books"
mkdir bad
/usr/bin/python3 - "$REPO/tests/files/alice.epub" <<'END'
import sys, zipfile

def make(name, change, keep=lambda name: True):
    with zipfile.ZipFile(sys.argv[1]) as book, zipfile.ZipFile("bad/" + name, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in book.infolist():
            if keep(entry.filename):
                new.writestr(entry.filename, change(entry.filename, book.read(entry)),
                             zipfile.ZIP_STORED if entry.filename == "mimetype" else None)

def same(name, data):
    return data

data = open(sys.argv[1], "rb").read()
open("bad/cut.epub", "wb").write(data[:9000])
open("bad/flipped.epub", "wb").write(data[:6000] + bytes(255 - b for b in data[6000:6300]) + data[6300:])
make("no-package.epub", same, lambda name: not name.endswith(".opf"))
make("no-pages.epub", same, lambda name: "/ch0" not in name and "title_page" not in name)
make("no-container.epub", same, lambda name: name != "META-INF/container.xml")
make("protected.epub", lambda name, data: data, lambda name: True)
with zipfile.ZipFile("bad/protected.epub", "a") as book:
    book.writestr("META-INF/rights.xml", "<rights/>")
make("entities.epub", lambda name, data: data.replace(
    b"<!DOCTYPE html>", b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY a "aaaa">'
    b'<!ENTITY b "&a;&a;&a;&a;">]>').replace(b"<h1", b"<p>&x;&b;</p><h1"))
make("escape.epub", lambda name, data: data.replace(b'href="text/', b'href="../../../../etc/'))
make("bomb.epub", lambda name, data: data + b" " * 300000000 if name.endswith("ch001.xhtml") else data)
with zipfile.ZipFile("bad/many.epub", "w") as book:
    book.writestr("mimetype", "application/epub+zip")
    for number in range(20001):
        book.writestr("%d.html" % number, "x")
make("other-order.epub", lambda name, data: data.replace(b'idref="ch001_xhtml"', b'idref="swap"').replace(
    b'idref="ch002_xhtml"', b'idref="ch001_xhtml"').replace(b'idref="swap"', b'idref="ch002_xhtml"'))
END
for book in bad/*.epub; do
    index -c bad.lmk "$book"
done
"$LMK" list -c bad.lmk --json | show value path metadata | plain
"$LMK" search -c bad.lmk -n 1 --mode lexical 'root aaaa' || echo "nothing"
index -c bad.lmk --strict books bad 2>&1 | tail -n 2
"$LMK" verify -c bad.lmk | grep -c ": 0 problems"
