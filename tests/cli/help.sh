# Help and version come on standard output; a wrong word, option or value is refused with exit 2.
. "$REPO/tests/cli/helpers"
try "$LMK" --version | sed 's/ [0-9][0-9.]*$/ NUMBER/'
"$LMK" --version | head -n 1 | grep -qx "lmk $(sed -n 's/^#define LMK_VERSION "\(.*\)"/\1/p' "$REPO/include/lmk.h")" ||
    echo "another version than the header's"
"$LMK" help 2>err
echo "exit $?, $(wc -c <err) bytes of errors"
"$LMK" >bare && "$LMK" --help >long && "$LMK" -h >short && "$LMK" help >word
cmp bare word && cmp long word && cmp short word
echo "---- lmk help index"
"$LMK" help index
"$LMK" index --help >long && "$LMK" help index >word && cmp long word
for command in search ask list info verify remove compact reindex export; do
    "$LMK" help $command >text || echo "no help on $command"
    grep -q "^usage: lmk $command " text || echo "no usage line for $command"
    "$LMK" $command -h | cmp - text
done
echo "---- refused"
try "$LMK" nonsense
try "$LMK" help nonsense
for word in serach reindx aks verfiy info-x an searchsearch "" "$(printf 'as\033k')" eval-eval-eval-eval-eval-eval-eval; do try "$LMK" "$word" | cat -v; done
try "$LMK" help indxe
try "$LMK" eval retreival
try "$LMK" help eval passkeys
try "$LMK" list --nonsense
try "$LMK" list --json -Zq
try "$LMK" list --quiet=yes
try "$LMK" search -c x.lmk --top
try "$LMK" search -c x.lmk --top 0 query
try "$LMK" search -c x.lmk --top -1 query
try "$LMK" search -c x.lmk --top 1x query
try "$LMK" search -c x.lmk --top 99999999999999999999999 query
try "$LMK" search -c x.lmk --granularity words query
try "$LMK" search -c x.lmk --generate query
try "$LMK" ask -c x.lmk --temperature hot question
try "$LMK" ask -c x.lmk --temperature nan question
try "$LMK" index -c x.lmk --kv q3 books
try "$LMK" index -c x.lmk
try "$LMK" search -c x.lmk
try "$LMK" search -c x.lmk two words
try "$LMK" ask -c x.lmk
try "$LMK" remove -c x.lmk
try "$LMK" list -c x.lmk word
try "$LMK" list
try "$LMK" list -c ""
[ ! -e x.lmk ] || echo "a refused command made the collection"
echo "---- evaluations"
"$LMK" help eval
for evaluation in $("$LMK" help eval | sed -n 's/^  eval \([a-z]*\) .*/\1/p'); do
    "$LMK" help eval $evaluation >text
    grep -q "^usage: lmk eval $evaluation " text || echo "no usage line for eval $evaluation"
    "$LMK" eval $evaluation -h | cmp - text
done
try "$LMK" help eval nonsense
