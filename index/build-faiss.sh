#!/bin/sh
# Builds FAISS with its C API as a static library from Debian's own source package.
#
#   index/build-faiss.sh DESTINATION [avx2|portable]
#
# Debian's libfaiss-dev has neither the C API nor AVX2 code, so its source package is compiled
# again. The result is DESTINATION/lib/libfaiss_c.a and DESTINATION/include/faiss/c_api/*.h; it
# appears under that name only when it is complete. The system's own configuration is not changed.
# Set CXX to use another compiler, TMPDIR (100 MB) for another scratch place.
set -eu
umask 022

wanted_version=1.7.3

fail() {
    echo "build-faiss: $*" >&2
    exit 1
}

# Writes the machine's apt entries, asking for sources instead of packages, below $work/apt.
# Keys ("signed-by") stay what they are in both forms of entry, one-line and deb822.
derive_source_entries() {
    mkdir -p "$work/apt/parts" "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    : >"$work/apt/sources.list"
    eval "$(apt-config shell one_line_file Dir::Etc::sourcelist/f parts_folder Dir::Etc::sourceparts/d)"
    for entries in "$one_line_file" "$parts_folder"/*.list; do
        [ -f "$entries" ] || continue
        # A CD holds no sources; other entries are turned into deb-src ones.
        sed -n -e '/cdrom:/d' -e 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$entries" \
            >>"$work/apt/sources.list"
    done
    for entries in "$parts_folder"/*.sources; do
        [ -f "$entries" ] || continue
        sed 's/^[Tt]ypes:.*/Types: deb-src/' "$entries" >"$work/apt/parts/${entries##*/}"
    done
    [ -s "$work/apt/sources.list" ] || [ -n "$(ls "$work/apt/parts")" ] ||
        fail "there is no apt entry in $one_line_file or $parts_folder to get the FAISS sources" \
            "from. Add Debian's archive there, or name a FAISS that has the C API with FAISS_DIR=."
}

# Runs apt-get or apt-cache with lists and cache below $work: no rights on the system's are needed.
private_apt() {
    program=$1
    shift
    "$program" -q -o Acquire::Retries=3 \
        -o Dir::Etc::sourcelist="$work/apt/sources.list" \
        -o Dir::Etc::sourceparts="$work/apt/parts" \
        -o Dir::State::lists="$work/apt/lists" \
        -o Dir::Cache="$work/apt/cache" "$@"
}

# Fetches the source package into $work/source and unpacks it as $work/source/faiss.
fetch_source() {
    mkdir "$work/source"
    if [ "$(id -u)" = 0 ]; then
        # apt downloads as the user _apt when it runs as root.
        chown _apt "$work/source" "$work/apt/lists/partial" 2>/dev/null || true
    fi
    # Another archive of this machine may be out of reach: what counts is whether FAISS is found.
    private_apt apt-get update >"$work/apt.log" 2>&1 || true
    version=$(private_apt apt-cache showsrc faiss 2>/dev/null |
        sed -n "s/^Version: \\(${wanted_version}[-+].*\\)/\\1/p" | sort -V | tail -n 1)
    (cd "$work/source" && private_apt apt-get source --download-only "faiss=${version:-none}") \
        >>"$work/apt.log" 2>&1 || true
    description=$(find "$work/source" -name 'faiss_*.dsc')
    if [ -z "$description" ]; then
        cat "$work/apt.log" >&2
        fail "apt could not fetch Debian's source package faiss $wanted_version (its messages stand" \
            "above). Check the network and the apt entries (Debian 12 has this version), then run" \
            "this again; or name a FAISS that has the C API with FAISS_DIR=."
    fi
    # apt has checked the files against the signed index, so the signature inside is not needed.
    (cd "$work/source" && dpkg-source --no-check --extract "${description##*/}" faiss) \
        >"$work/unpack.log" 2>&1 || {
        cat "$work/unpack.log" >&2
        fail "the source package could not be unpacked (dpkg-source's messages stand above)."
    }
}

# Compiles the library and its C API, largest files first, and puts them into one archive.
compile() {
    cd "$work/source/faiss"
    mkdir "$work/objects"
    # shellcheck disable=SC2012  # the names are FAISS's own, without spaces
    ls -S faiss/*.cpp faiss/impl/*.cpp faiss/invlists/*.cpp faiss/utils/*.cpp \
        c_api/*_c.cpp c_api/error_impl.cpp c_api/impl/*.cpp c_api/utils/*.cpp |
        FLAGS="-O3 -DNDEBUG -DFINTEGER=int -fopenmp -fPIC -fvisibility=hidden \
            -fvisibility-inlines-hidden -fno-gnu-unique -w $machine_flags" OBJECTS="$work/objects" \
            xargs -P "$(nproc)" -n 1 sh -c '
            object=$OBJECTS/$(echo "$0" | tr / _).o
            $CXX -std=c++11 $FLAGS -I. -c "$0" -o "$object" || exit 255' ||
        fail "a file of FAISS did not compile (the compiler's messages stand above)."
    cd "$work/objects"
    ar rcs "$work/libfaiss_c.a" ./*.o
}

# Puts the result together beside its destination and gives it its name last.
install_result() {
    partial=$destination.partial
    rm -rf "$partial" "$destination"
    mkdir -p "$partial/lib" "$partial/include/faiss/c_api"
    cp "$work/libfaiss_c.a" "$partial/lib/"
    cp "$work/source/faiss/LICENSE" "$partial/"
    (cd "$work/source/faiss/c_api" && cp --parents ./*.h impl/*.h utils/*.h "$partial/include/faiss/c_api/")
    package=${description##*/}
    echo "${package%.dsc} $flavour" >"$partial/COMPLETE"
    sync
    mv -T "$partial" "$destination"
}

[ $# -ge 1 ] && [ $# -le 2 ] || { echo "usage: $0 DESTINATION [avx2|portable]" >&2; exit 2; }
flavour=${2:-avx2}
case $flavour in
avx2) machine_flags="-mavx2 -mfma -mf16c -mpopcnt" ;;
portable) machine_flags="" ;;
*) echo "usage: $0 DESTINATION [avx2|portable]" >&2; exit 2 ;;
esac

for program in apt-get dpkg-source ar "${CXX:=g++}"; do
    command -v "$program" >/dev/null ||
        fail "$program is missing. Install it with: apt-get install g++ dpkg-dev"
done
export CXX

mkdir -p "$(dirname "$1")" || fail "cannot make the folder that is to hold $1."
destination=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
exec 9>"$destination.lock"
flock 9 # a second build waits here for the first one, and then finds its result
[ -f "$destination/COMPLETE" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$work"

echo "build-faiss: fetching Debian's source package of FAISS $wanted_version (index 10 MB, source 1 MB)" >&2
derive_source_entries
fetch_source
echo "build-faiss: compiling FAISS $wanted_version for $flavour, about 2 minutes on 2 cores, once" >&2
compile
install_result
echo "build-faiss: done, the result is in $destination" >&2
