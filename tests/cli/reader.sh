# ask --reader: a scripted server on the loopback writes the answer, or fails in every way.
. "$REPO/tests/cli/helpers"
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY LMK_READER_KEY
stories books 1 3 12
index -c a.lmk books
/usr/bin/python3 "$REPO/tests/cli/reader-server.py" port requests &
server=$!
trap 'kill $server' EXIT
wait_until 20 test -f port
url=http://127.0.0.1:$(cat port)
ask() { "$LMK" ask -c a.lmk --k 3 --reader "$@" "What did the fox do?" 2>err; code=$?; sed "s|$url|URL|g" err; echo "exit $code"; }
head_of() { sed '/^Passages that/q'; }
echo "---- an answer in pieces"
ask "$url" >all
head_of <all
grep -c '^\* \[' all
grep -c '^  \[' all
grep '^. \[' all | cut -c 1-5
tail -n 1 all
"$LMK" search -q -c a.lmk --json --top 3 fox >/dev/null
/usr/bin/python3 - <<'END'
import json
request = json.loads(open("requests").readline())
body = request["body"]
system, user = body.pop("messages")
print(request["path"], request["key"], body, system["role"], user["role"])
print([line[:4] for line in user["content"].split("\n") if line.startswith("[")])
print(user["content"].split("\n")[-1])
END
echo "---- the passages it was given are those that ask without a reader reads, in their order"
"$LMK" ask -q -c a.lmk --k 3 --json "What did the fox do?" >plain.json
/usr/bin/python3 - <<'END'
import json
passages = json.load(open("plain.json"))["passages"]
content = json.loads(open("requests").readline())["body"]["messages"][1]["content"]
parts = ["[%d] %s\n%s\n\n" % (p["rank"], p["title"] + (", by " + p["author"] if p["author"] else ""), p["text"])
         for p in passages]
print(content == "".join(parts) + "Question: What did the fox do?")
END
echo "---- JSON"
"$LMK" ask -c a.lmk --k 3 --json --reader "$url" --reader-model tiny "What did the fox do?" >reader.json
show value answer citations answer_tokens answer_log_likelihood <reader.json
sed 's|"url":"[^"]*"|"url":"URL"|' reader.json | grep -o '"reader":{[^}]*}'
/usr/bin/python3 -c 'import json
one, two = (json.load(open(name))["passages"] for name in ("plain.json", "reader.json"))
print(one == two)'
echo "---- key, model, temperature, length; from the environment"
: >requests
LMK_READER=$url/stream/v1/ LMK_READER_KEY=sesame LMK_READER_MODEL=small "$LMK" ask -q -c a.lmk -T 0.5 -s 7 -M 99 fox >out
ask "$url/stream/chat/completions" >out
/usr/bin/python3 - <<'END'
import json
for line in open("requests"):
    request = json.loads(line)
    request["body"].pop("messages")
    print(request)
END
grep -rl sesame . | grep -v requests
LMK_READER=http://127.0.0.1:1 "$LMK" ask -q -c a.lmk --reader "" fox | head -n 1
LMK_READER=http://127.0.0.1:1 "$LMK" ask -q -c a.lmk --no-generate fox | head -n 1
LMK_READER=http://127.0.0.1:1 "$LMK" search -q -c a.lmk fox >out || echo "exit $?"
echo "---- other forms of answers"
for way in whole nodone wrongly uncited empty; do
    echo "$way:"
    ask "$url/$way/v1" | sed '/^Passages that/,/^[lx]*$/d' | grep -a -e Answer -e '^lmk' -e '^exit' | cat -v
done
ask "$url/uncited" -q | grep -c '^lmk'
echo "---- failures: a sentence, exit 11, and the passages all the same"
for way in nothing short cut slow mute html words other list halfway long 401 404 422 500 503 302; do
    echo "$way:"
    ask "$url/$way/v1" --reader-wait 1 >out
    grep -a -e Answer -e '^lmk' -e '^exit' out | cat -v
    [ "$(grep -c '^. \[[123]\]' out)" -eq 3 ] || echo "without its passages"
done
ask "$url/401" --json >out
tail -n 2 out
head -n 1 out | show value answer citations
echo "---- refused, no such host, no HTTP"
ask http://127.0.0.1:1 | tail -n 2 | sed 's/after [0-9]* ms/after N ms/'
ask http://no-such-host.invalid:80 | tail -n 2 | sed 's/\(Could not resolve\).*/\1 ...'/
for wrong in localhost:8080 ftp://127.0.0.1/ file:///etc/passwd http://user:secret@127.0.0.1:1/ http://user@127.0.0.1:1/ "http://" "not a url" "http://127.0.0.1:99999/"; do
    ask "$wrong" | tail -n 2
done
LMK_READER_KEY='two
lines' ask "$url" | tail -n 2
try "$LMK" ask -c a.lmk --reader-wait 0 fox
echo "---- no colour, no escape code in all of this"
grep -rlaP '\x1b' out all err reader.json
kill $server
wait $server 2>err
trap - EXIT
