# Manual pages: sound roff that says what the help says.
. "$REPO/tests/cli/helpers"
commands=$("$LMK" help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
for command in "" $commands; do
    "$LMK" help --manual $command >page || echo "no page of $command"
    # Without a date: the same build gives the same page on every day.
    mandoc -T lint -W warning page | grep -v "missing date"
    [ -n "$command" ] || continue
    # Every option of the help stands in the page, and no other.
    "$LMK" help "$command" >help
    for evaluation in $(sed -n 's/^  eval \([a-z]*\) .*/\1/p' help); do
        "$LMK" help eval "$evaluation" >>help
    done
    grep -o -e '--[a-z-]* [A-Z]*  ' -e '--[a-z-]*  ' help | tr -d ' ' | sort >options
    sed -n '/^\.TP$/{n;s/\\f[BIR]//g;s/\\-/-/g;s/^\(-., \)*\(--[a-z-]*\)\( [A-Z]*\)*$/\2\3/p}' page |
        tr -d ' ' | sort | diff options -
    [ -s options ] || echo "no options of $command"
done
echo "---- lmk(1): every command, environment variable and exit code"
"$LMK" help --manual | mandoc -T utf8 -O width=300 | sed 's/.\x08//g' >shown
for command in $commands; do
    grep -q "^ *lmk-$command(1)$" shown || echo "$command is not in lmk(1)"
done
sed -e '1d' -e '/^COMMANDS/,/^EXAMPLE/d' -e '/^SEE ALSO/,$d' shown
try "$LMK" help --manual nonsense
