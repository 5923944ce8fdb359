# Whole archives, Calibre's folders, standard input: documents in archives have paths below theirs;
# hidden and unknown files in them are passed over, broken ones told of; limits hold.
. "$REPO/tests/cli/helpers"
pack() {
    (cd shelf && find . -type f | LC_ALL=C sort | zip -q -@ ../shelf.zip)
}
mkdir -p shelf/deep shelf/.hidden shelf/__MACOSX
story 1 3 >shelf/one.txt
story 2 3 >shelf/deep/two.md
story 3 3 >shelf/.hidden/three.txt
story 4 3 >shelf/__MACOSX/four.txt
story 5 3 >shelf/picture.jpg
head -c 2000 /dev/zero >shelf/zeros.txt
printf '{"_id": "a", "text": "A fox."}\n{"_id": "b", "text": "A bird."}\n' >shelf/lines.jsonl
cp "$REPO/tests/files/alice.epub" shelf
pack
tar -cf shelf.tar shelf
for tool in gzip bzip2 xz zstd; do $tool -q -c shelf.tar >shelf.tar.$tool; done
index -c a.lmk shelf.zip
list a.lmk
index -c a.lmk shelf.zip
for tool in gzip bzip2 xz zstd; do
    mv shelf.tar.$tool shelf.tgz
    index -c $tool.lmk shelf.tgz | tail -n 2
done
"$LMK" search -c a.lmk -n 1 --mode lexical '"Do cats eat bats"' | sed -n 2p | plain
echo "---- a file of the archive changes, one goes"
story 11 3 >shelf/one.txt
rm shelf/deep/two.md shelf.zip
pack
index -c a.lmk shelf.zip
list a.lmk
try "$LMK" remove -c a.lmk shelf.zip
index -c a.lmk shelf.zip | tail -n 2
try "$LMK" verify -c a.lmk | grep -c ": 0 problems"
echo "---- broken and hostile archives"
mkdir bad
/usr/bin/python3 - <<'END'
import io, tarfile, zipfile

def packed(name, files):
    with zipfile.ZipFile("bad/" + name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files:
            archive.writestr(path, data)
    return open("bad/" + name, "rb").read()

text = "The fox %s crossed the river, and nobody saw it. "
packed("escape.zip", [("../../../../escaped.txt", text % "E"), ("/absolute.txt", text % "A")])
packed("bomb.zip", [("zeros.txt", b"a" * 400000000)])
packed("nothing.zip", [("picture.jpg", "x")])
one = packed("one.zip", [("a.txt", text % "one")])
two = packed("two.zip", [("one.zip", one), ("b.txt", text % "two")])
packed("three.zip", [("two.zip", two), ("c.txt", text % "three")])
whole = packed("whole.zip", [("d%d.txt" % i, (text % i) * 30) for i in range(20)])
open("bad/cut.zip", "wb").write(whole[:1500])
with tarfile.open("bad/links.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
    link = tarfile.TarInfo("passwd.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive.addfile(link)
    device = tarfile.TarInfo("zero.txt")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 5
    archive.addfile(device)
    data = (text % "linked").encode()
    entry = tarfile.TarInfo("./good.txt")
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
END
rm bad/one.zip bad/two.zip bad/whole.zip
for archive in bad/*; do
    echo "-- $archive"
    index -c bad.lmk "$archive" | sed 's/(\(Trunc\|ZIP\)[^)]*)/(reason)/'
done
"$LMK" list -c bad.lmk --json | show value path | plain
[ ! -e ../escaped.txt ] && [ ! -e escaped.txt ] || echo "escaped"
echo "---- Calibre: one format of a book, and what stands beside it"
mkdir -p "calibre/Jane Roe/A Walk (1)" "calibre/Jane Roe/Other (2)"
folder="calibre/Jane Roe/A Walk (1)"
cp "$REPO/tests/files/alice.epub" "$folder/A Walk - Jane Roe.epub"
cp "$REPO/tests/files/alice.pdf" "$folder/A Walk - Jane Roe.pdf"
story 6 3 >"$folder/A Walk - Jane Roe.txt"
cat >"$folder/metadata.opf" <<'END'
<?xml version='1.0' encoding='utf-8'?>
<package xmlns="http://www.idpf.org/2007/opf" unique-identifier="uuid_id" version="2.0">
  <metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">
    <dc:title>A Walk &amp; More</dc:title>
    <dc:creator opf:file-as="Roe, Jane" opf:role="aut">Jane Roe</dc:creator>
    <dc:creator opf:role="aut">John Doe</dc:creator>
    <dc:contributor opf:role="bkp">calibre</dc:contributor>
    <dc:date>1901-05-01T00:00:00+00:00</dc:date>
    <dc:language>fr</dc:language>
  </metadata>
</package>
END
story 7 3 >"calibre/Jane Roe/Other (2)/Other.txt"
story 8 3 >"calibre/Jane Roe/Other (2)/Other.md"
index -c calibre.lmk calibre
"$LMK" list -c calibre.lmk --json | show value path title author language | plain
"$LMK" list -c calibre.lmk --json | head -n 1 | /usr/bin/python3 -c 'import json; print(json.loads(input())["metadata"]["year"])'
echo "---- standard input"
story 9 3 | index -c in.lmk -
story 9 3 | index -c in.lmk -
cat "$REPO/tests/files/alice.epub" | index -c in.lmk - | sed 's/: [0-9,]* tokens/: N tokens/'
cat shelf/lines.jsonl | index -c in.lmk -
index -c in.lmk - </dev/null
list in.lmk
try "$LMK" verify -c in.lmk | grep -c ": 0 problems"
