# Standard output that is full or closed is exit 7, and never ends up in the collection; a pipe gets
# no escape codes.
. "$REPO/tests/cli/helpers"
stories books 1 3 12
index -c a.lmk books
each() { # runs $1 on every command, redirected by the function
    for command in "list" "list --json" "info" "verify" "search fox" "search --json fox" "search -g head fox" "ask fox" "ask --json -g token fox" "help" "--version"; do
        name=${command%% *}
        case $name in
        help | --version) set -- "$1" $command ;;
        *) set -- "$1" $command -c a.lmk ;;
        esac
        "$@"
    done
}
full() { "$LMK" "$@" >/dev/full 2>err; echo "$? $(cat err)"; }
closed() { "$LMK" "$@" >&- 2>err; echo "$? $(cat err)"; }
silent() { "$LMK" "$@" >&- 2>&- <&-; echo "$?"; }
echo "---- full"
each full
echo "---- closed"
each closed
echo "---- all closed"
each silent | uniq
echo "---- writing with all closed: each must be what it is when open"
for number in 1 2 3 4 5; do
    stories books 4 $((3 + number)) 12
    : >books/empty.txt
    "$LMK" index -t 1 -c a.lmk --kv f16 books <&- >&- 2>&-
    echo "exit $?"
    "$LMK" remove -c a.lmk 2 "no such" <&- >&- 2>&-
    echo "exit $?"
done
"$LMK" index -t 1 -c a.lmk --kv f16 none 2>&-
echo "exit $?"
try "$LMK" verify -c a.lmk | sed 's/, [0-9]* values/, N values/'
list a.lmk | wc -l
"$LMK" search -c a.lmk --json fox | show places | cut -d' ' -f3- | sort -u
echo "---- a reader that has enough"
"$LMK" list -c a.lmk 2>err | head -n 1 >/dev/null
cat err
echo "---- no escape codes in a pipe, even where the terminal has colours"
TERM=xterm-256color
export TERM
for command in "search fox" "ask fox" "list" "info" "verify" "index books"; do
    "$LMK" $command -c a.lmk 2>&1 | grep -c "$(printf '\033')"
done
echo "---- quiet: nothing on standard error"
"$LMK" index -q -t 1 -c q.lmk --kv f16 books/story-001.txt 2>&1 >/dev/null | wc -c
