# Text in other encodings than UTF-8 is decoded, and its hits lead to bytes of the file as it is;
# invalid bytes are replaced and counted.
. "$REPO/tests/cli/helpers"
mkdir books
text="The café’s naïve owner was Ægir. $(story 1 2)"
for encoding in WINDOWS-1252 UTF-16LE UTF-16BE UTF-8; do
    printf '%s\n' "$encoding. $text" | iconv -f UTF-8 -t "$encoding" >"books/$encoding.txt"
done
printf '%s\n' "UTF-16 with mark. $text" | iconv -f UTF-8 -t UTF-16 >books/marked.txt
printf 'One é, one broken \351, text.\n' >books/broken.txt
printf '%s\n' "Zipped. $text" | iconv -f UTF-8 -t WINDOWS-1252 | gzip >books/zipped.txt.gz
index -c a.lmk --strict books
"$LMK" index -q -c b.lmk -t 1 --kv f16 --json books | show value invalid_bytes documents_invalid
"$LMK" search -c a.lmk --mode lexical --no-merge --json 'cafe naive Ægir' >hits.json
/usr/bin/python3 - <<'END'
import gzip, json, os
for passage in json.load(open("hits.json"))["passages"]:
    name = os.path.basename(passage["path"])
    data = open(passage["path"], "rb").read()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    encoding = "utf-16" if name == "marked.txt" else "cp1252" if "zip" in name else name[:-4]
    if name == "marked.txt":
        encoding = "utf-16-le" if data[:2] == b"\xff\xfe" else "utf-16-be"
    end = passage["source_end"] + (encoding.lower().startswith("utf-16") and passage["source_end"] % 2)
    found = data[passage["source_start"]:end].decode(encoding)
    print(name, "right" if found == passage["text"] else "WRONG %r %r" % (found, passage["text"]))
END
