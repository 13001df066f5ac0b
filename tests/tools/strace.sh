#!/usr/bin/env bash
# Gets strace where the machine has none, out of an unpacked Debian package and without root.
#
#   strace.sh install TOOLS          leaves TOOLS/bin/strace unless strace is on the PATH
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/debian.sh"

install() {
    local root=$1/strace
    command -v strace >/dev/null && return 0
    [ -e "$root/installed" ] && return 0
    echo "tools: installing strace"
    unpack "$root" '^(strace|libunwind.*|libdw.*|libelf.*|liblzma.*)$' strace
    mkdir -p "$1/bin"
    # By the loader's own option, since a variable would reach the traced program, too.
    cat >"$1/bin/strace" <<SCRIPT
#!/bin/sh
exec /lib64/ld-linux-x86-64.so.2 --library-path "$root/root/usr/lib/x86_64-linux-gnu" "$root/root/usr/bin/strace" "\$@"
SCRIPT
    chmod +x "$1/bin/strace"
    touch "$root/installed"
}

command=$1
shift
case $command in
install) "$command" "$@" ;;
*) echo "strace.sh: unknown command $command" >&2; exit 2 ;;
esac
