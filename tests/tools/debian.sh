# Unpacks Debian packages below a folder, without root. To be sourced.

# unpack ROOT WANTED PACKAGE...: downloads the packages and those that they need and the
# machine lacks, as far as their names match WANTED, and unpacks them below ROOT/root. What the
# machine has is read from UNPACK_STATUS: /dev/null for nothing.
unpack() {
    local root=$1 wanted=$2
    shift 2
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
        echo "tools: $* come as Debian packages, and this machine has no apt-get" >&2
        return 1
    }
    rm -rf "$root"
    mkdir -p "$root/debs/partial" "$root/lists/partial"
    # Lists of our own, since refreshing the machine's takes root.
    local options=(-qq -o "Dir::State::Lists=$root/lists" -o "Dir::Cache=$root" -o APT::Sandbox::User=
        -o Debug::NoLocking=1 -o "Dir::State::status=${UNPACK_STATUS:-/var/lib/dpkg/status}")
    apt-get "${options[@]}" update
    local names
    names=$(apt-get "${options[@]}" install -s --no-install-recommends "$@" |
        awk '$1 == "Inst" { print $2 }' | grep -E "$wanted" || true)
    # Already on the machine: nothing to unpack.
    if [ -n "$names" ]; then
        # shellcheck disable=SC2086
        (cd "$root/debs" && apt-get "${options[@]}" download $names)
        for package in "$root"/debs/*.deb; do dpkg-deb -x "$package" "$root/root"; done
    fi
    rm -rf "$root/debs" "$root/lists" "$root"/*.bin
}
