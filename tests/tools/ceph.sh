#!/usr/bin/env bash
# Runs a one-node Ceph RADOS Gateway out of unpacked Debian packages, without root.
#
#   ceph.sh install TOOLS            downloads and unpacks below TOOLS/ceph
#   ceph.sh run TOOLS FOLDER PORT    runs in the foreground until SIGTERM; prints "ready"
#
# Ceph is the S3 upstream that checks signatures and really has versions. It stays in memory
# (memstore) and listens on 127.0.0.1 only. PORT is the gateway's, PORT+1 the monitor's.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

packages=(radosgw ceph-mon ceph-osd ceph-common)
# What the daemons load; the rest of what the packages pull in (disk tools, mounts) is not needed.
wanted='^(lib|ceph|radosgw|python3-(ceph-argparse|ceph-common|rados|prettytable|wcwidth)$)'

install() {
    local root=$1/ceph
    [ -e "$root/installed" ] && return 0
    echo "tools: installing Ceph RGW"
    unpack "$root" "$wanted" "${packages[@]}"
    touch "$root/installed"
}

run() {
    local root=$1/ceph/root folder=$2 port=$3
    local mon=$((port + 1)) id lib=$root/usr/lib/x86_64-linux-gnu
    export PATH=$root/usr/bin:$root/usr/sbin:$PATH CEPH_CONF=$folder/ceph.conf
    export LD_LIBRARY_PATH=$lib:$lib/ceph:$root/usr/lib:$root/lib/x86_64-linux-gnu
    export PYTHONPATH=$root/usr/lib/python3/dist-packages
    rm -rf "$folder"
    mkdir -p "$folder"/{run,log,mon,osd}
    id=$(cat /proc/sys/kernel/random/uuid)
    cat >"$CEPH_CONF" <<CONF
[global]
fsid = $id
mon_initial_members = a
mon_host = v1:127.0.0.1:$mon
ms_bind_msgr2 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = $folder/run
admin_socket =
pid_file = $folder/run/\$name.pid
log_file = $folder/log/\$name.log
keyring = $folder/keyring
plugin_dir = $lib/ceph
erasure_code_dir = $lib/ceph/erasure-code
osd_class_dir = $lib/rados-classes
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_max_pg_per_osd = 2000
mon_allow_pool_size_one = true
mon_data_avail_warn = 2
mon_data_avail_crit = 1
[mon.a]
mon_data = $folder/mon
mon_addr = 127.0.0.1:$mon
[osd]
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_data = $folder/osd
osd_max_object_name_len = 1024
[client.rgw.a]
# Without tcp_nodelay every small GET takes 40 ms.
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_dns_name = ${CEPH_HOST:-localhost}
rgw_thread_pool_size = 32
CONF
    local children=()
    stop() {
        kill "${children[@]}" 2>/dev/null || true
        # Now and then one of them waits for another that has gone. What it has is not needed any more.
        local tries=50
        while kill -0 "${children[@]}" 2>/dev/null && ((tries-- > 0)); do read -rt 0.2 <> <(:) || true; done
        kill -KILL "${children[@]}" 2>/dev/null || true
        wait
    }
    trap stop EXIT
    trap 'exit 0' TERM INT
    local osd quiet=$folder/log/setup
    ceph-authtool -C "$folder/keyring" --gen-key -n mon. --cap mon 'allow *' >"$quiet"
    ceph-authtool "$folder/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' >>"$quiet"
    monmaptool --create --fsid "$id" --addv a "[v1:127.0.0.1:$mon]" "$folder/monmap" >>"$quiet"
    ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring" >>"$quiet" 2>&1
    # A killed test must not leave daemons behind.
    local tied=(setpriv --pdeathsig KILL)
    "${tied[@]}" ceph-mon -f -i a >>"$quiet" 2>&1 &
    children+=($!)
    osd=$(cat /proc/sys/kernel/random/uuid)
    /usr/bin/python3 "$root/usr/bin/ceph" --connect-timeout 60 osd new "$osd" 0 >>"$quiet" 2>&1
    # Without its --osd-uuid the daemon never joins.
    ceph-osd -i 0 --mkfs --osd-uuid "$osd" >>"$quiet" 2>&1
    "${tied[@]}" ceph-osd -f -i 0 >>"$quiet" 2>&1 &
    children+=($!)
    "${tied[@]}" radosgw -f -n client.rgw.a >>"$quiet" 2>&1 &
    children+=($!)
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "${children[2]}" || { tail -20 "$quiet" >&2; exit 1; }
        read -rt 0.2 <> <(:) || true
    done
    radosgw-admin user create --uid=tester --display-name=tester \
        --access-key="$CEPH_ACCESS_KEY" --secret="$CEPH_SECRET_KEY" >>"$quiet" 2>&1
    echo ready
    wait
}

command=$1
shift
case $command in
install | run) "$command" "$@" ;;
*) echo "ceph.sh: unknown command $command" >&2; exit 2 ;;
esac
