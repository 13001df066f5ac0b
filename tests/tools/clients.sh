#!/usr/bin/env bash
# Gets clients that come as Debian packages, unpacked and without root.
#
#   clients.sh install TOOLS          leaves TOOLS/bin/restic and TOOLS/bin/s3fs
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/debian.sh"

install() {
    local root=$1/clients
    [ -e "$root/installed" ] && return 0
    echo "tools: installing restic and s3fs"
    unpack "$root" '^(restic|s3fs|libfuse2|fuse|libcurl4|libxml2)$' restic s3fs
    mkdir -p "$1/bin"
    local name
    for name in restic s3fs; do
        # Where the machine has the package, nothing was unpacked.
        local program=$root/root/usr/bin/$name
        [ -e "$program" ] || program=$(command -v "$name")
        cat >"$1/bin/$name" <<SCRIPT
#!/bin/sh
export PATH="$root/root/bin:\$PATH"
export LD_LIBRARY_PATH="$root/root/lib/x86_64-linux-gnu:$root/root/usr/lib/x86_64-linux-gnu"
exec "$program" "\$@"
SCRIPT
        chmod +x "$1/bin/$name"
    done
    touch "$root/installed"
}

command=$1
shift
case $command in
install) "$command" "$@" ;;
*) echo "clients.sh: unknown command $command" >&2; exit 2 ;;
esac
