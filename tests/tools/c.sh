#!/usr/bin/env bash
# Gets what builds a plugin in C: clang for WebAssembly with its libc, wit-bindgen and wasm-tools.
#
#   c.sh install TOOLS          leaves TOOLS/c/bin/{clang,wit-bindgen,wasm-tools}
#
# All of clang is unpacked, also where the machine has one: its WebAssembly runtime has to be of the same version.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/debian.sh"

packages=(clang lld wasi-libc libclang-rt-dev-wasm32)
wanted='^(clang|lld|wasi-libc|libclang-(cpp|common-|rt-).*|libclang-rt-dev-wasm32|clang-[0-9]+|lld-[0-9]+'
wanted+='|libllvm[0-9]+|libz3-4|libxml2|libicu[0-9]+|libedit2|libbsd0|libmd0|libtinfo6|libffi8)$'
generator=(wit-bindgen-cli@0.63.0 --no-default-features --features c)
componentizer=(wasm-tools@1.263.0 --no-default-features --features component)

install() {
    local root=$1/c
    local stamp
    stamp=$root/installed-$(printf '%s' "$wanted ${generator[*]} ${componentizer[*]}" | sha256sum | cut -c1-16)
    [ -e "$stamp" ] && return 0
    echo "tools: installing clang, wit-bindgen and wasm-tools"
    # As if nothing were installed: what it needs comes along.
    UNPACK_STATUS=/dev/null unpack "$root" "$wanted" "${packages[@]}"
    mkdir -p "$root/bin"
    cat >"$root/bin/clang" <<SCRIPT
#!/bin/sh
export PATH="$root/root/usr/bin:\$PATH"
export LD_LIBRARY_PATH="$root/root/usr/lib/x86_64-linux-gnu:$root/root/lib/x86_64-linux-gnu"
exec "$root/root/usr/bin/clang" --sysroot="$root/root/usr" "\$@"
SCRIPT
    chmod +x "$root/bin/clang"
    # Debug information would be most of what is written.
    export CARGO_PROFILE_DEV_DEBUG=0
    cargo install --quiet --locked --debug --root "$root" "${generator[@]}"
    cargo install --quiet --locked --debug --root "$root" "${componentizer[@]}"
    touch "$stamp"
}

command=$1
shift
case $command in
install) "$command" "$@" ;;
*) echo "c.sh: unknown command $command" >&2; exit 2 ;;
esac
