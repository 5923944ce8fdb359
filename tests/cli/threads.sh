# Waiting threads spin briefly, unless the user has said otherwise: the program starts itself once
# more for that, and libgomp shows what it has read each time that it is loaded.
. "$REPO/tests/cli/helpers"
unset GOMP_SPINCOUNT OMP_WAIT_POLICY
shown() {
    echo "---- ${*:-nothing said}"
    env OMP_DISPLAY_ENV=verbose "$@" "$LMK" remove 2>&1 |
        sed -n -e "s/^ *\(\[host\]\)\? *GOMP_SPINCOUNT = '\(.*\)'/started, spins \2/p" -e '/^lmk/p'
}
shown | sed 's/spins [0-9]\{5,\}/spins long/'
shown GOMP_SPINCOUNT=7
shown OMP_WAIT_POLICY=passive
