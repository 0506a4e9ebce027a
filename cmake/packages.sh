# shellcheck shell=bash
# For the project's scripts: installs Debian and Ubuntu packages that are missing, and only those.
#
#     want PACKAGE COMMAND...    PACKAGE is missing unless COMMAND succeeds
#     install_wanted             installs what was found missing; says so, and asks for nothing when nothing is

missing_packages=()

want() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing_packages+=("$package")
}

# Is a header in one of the places where compilers and CMake look?
has_header() {
    local folder
    for folder in /usr/include /usr/include/eigen3 /usr/local/include /usr/local/include/eigen3 ${CPATH:+${CPATH//:/ }}; do
        [ -e "$folder/$1" ] && return 0
    done
    return 1
}

install_wanted() {
    [ ${#missing_packages[@]} -gt 0 ] || return 0
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "Missing, and there is no apt-get here. Install these (Debian's names): ${missing_packages[*]}" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing. As root: apt-get install ${missing_packages[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "== installing ${missing_packages[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    local try
    for try in 1 2 3; do
        if "${as_root[@]}" "${apt[@]}" update &&
            "${as_root[@]}" "${apt[@]}" install --no-install-recommends "${missing_packages[@]}"; then
            missing_packages=()
            return 0
        fi
        echo "apt-get failed (try $try of 3)" >&2
        sleep $((try * 5))
    done
    return 1
}
