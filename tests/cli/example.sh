# The example of the C interface in docs/: it does what the program does.
. "$REPO/tests/cli/helpers"
example=$(dirname "$LMK")/tests/example
stories books 1 3 12
: >books/empty.txt
"$example" "$LMK_MODEL" a.lmk "What did the fox do?" books >first 2>err
echo "exit $?"
plain <err | grep -v "^[a-z]*: "
head -n 1 first
"$example" "$LMK_MODEL" a.lmk "What did the fox do?" books >second 2>err
head -n 1 second
"$LMK" search -q -c a.lmk --json --top 3 "What did the fox do?" >found.json
"$LMK" ask -q -c a.lmk --json "What did the fox do?" >answer.json
/usr/bin/python3 - <<'END'
import json
lines = open("second").read()
for number, passage in enumerate(json.load(open("found.json"))["passages"], 1):
    print("%d. %s, bytes %d to %d: %s\n" % (number, passage["title"], passage["source_start"], passage["source_end"],
                                         passage["text"]) in lines)
print("Answer: (this model writes none)\n" in lines)
shares = ["read with %3.0f %% of the attention: %s" % (100 * p["share"], p["mark"]["text"])
          for p in json.load(open("answer.json"))["passages"]]
print(lines.endswith("\n".join(shares) + "\n"))
END
try "$example" "$LMK_MODEL" a.lmk "" books/story-001.txt | grep -v documents$
try "$example" books/story-001.txt a.lmk fox books
try "$example" | sed 's|/.*/||'
