# Completions: what each shell offers, asked from the shell itself.
. "$REPO/tests/cli/helpers"
for shell in bash zsh fish; do
    "$LMK" help --completion $shell >completions.$shell
done
echo "---- bash"
bash -n completions.bash
cat >try.bash <<'END'
source ./completions.bash
compopt() { echo "compopt $*"; }
offer() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    echo "$*|"
    _lmk
    printf '    %s\n' "${COMPREPLY[@]}"
}
offer lmk se
offer lmk search --mod
offer lmk search -o l
offer lmk search --mode = h
offer lmk search --mode =
offer lmk list --mod
offer lmk search --top ""
offer lmk index -c ""
offer lmk index -m ""
offer lmk index ""
offer lmk search ""
offer lmk help rem
END
bash try.bash
echo "---- zsh: the words that its functions are given"
zsh -n completions.zsh
cat >try.zsh <<'END'
_arguments() { print -l -- "$@" }
_describe() { print -l -- "$1" "${(P@)2}" | grep -e command -e search }
words=(lmk s) CURRENT=2
source ./completions.zsh
words=(lmk search '') CURRENT=3
_lmk | grep -e mode -e threads -e QUERY
words=(lmk index '') CURRENT=3
_lmk | grep -e collection -e PATH
END
zsh -f try.zsh
echo "---- fish"
fish --no-execute completions.fish
for line in "lmk s" "lmk search --mod" "lmk search --mode l" "lmk search -o " "lmk list --mod" "lmk help rem"; do
    echo "$line|"
    fish --no-config -c "source completions.fish; complete -C '$line'" | cut -f 1 | sed 's/^/    /'
done
echo "---- every command and option is offered everywhere"
for command in $("$LMK" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    for option in $("$LMK" help "$command" | grep -o -e ' --[a-z-]* [A-Z]*  ' -e ' --[a-z-]*  ' | grep -o -e '--[a-z-]*'); do
        grep -q "^    $command) options='.*$option " completions.bash || echo "bash: $command $option"
        sed -n "/^    $command)/,/;;/p" completions.zsh | grep -q -e "$option[=}\[]" || echo "zsh: $command $option"
        grep -q -e "__fish_seen_subcommand_from.* $command[ '].* -l ${option#--} " completions.fish ||
            echo "fish: $command $option"
    done
done
try "$LMK" help --completion tcsh
