# Sourced by tests/image and tests/engine, from the root of the tree: root file systems of Debian, made by debootstrap
# without any registry of images, and the few verbs that both scripts have in common.
#
# Needed: $SAY, the name of the script. Runs as root, or through sudo.

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo -n --)
as_root() { "${sudo[@]}" "$@"; }
took() { printf '    %s: %d s\n' "$1" $((SECONDS - $2)); }
fail() { printf '%s: %s\n' "$SAY" "$*" >&2; exit 1; }
equals() { [ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"; }

# Installs Debian packages.
installed() {
  [ "$#" -gt 0 ] || return 0
  echo "missing: $*"
  command -v apt-get >/dev/null || fail "it knows apt-get only; please install these by hand: $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

debians=$PWD/target/debian
# debian NAME SUITE PACKAGE,…: makes target/debian/NAME, once; again when other packages are asked for. debootstrap knows
# where Debian is; DEBIAN_MIRROR names another mirror.
debian() {
  local name=$1 suite=$2 packages=$3 root=$debians/$1 from=$SECONDS
  [ "$(cat "$root.packages" 2>/dev/null)" != "$suite $packages" ] || return 0
  mkdir -p "$debians"
  as_root rm -rf "$root" "$root.packages"
  as_root /usr/sbin/debootstrap --variant=minbase --include="$packages" "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
    >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; fail "debootstrap failed"; }
  as_root rm -rf "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/debootstrap"
  printf '%s %s\n' "$suite" "$packages" >"$root.packages"
  took "Debian's $suite by debootstrap" "$from"
}

# What images are compiled on: Debian with a C compiler, and systemd for tests/service.
BASE_SUITE=bookworm
base_root=$debians/base
make_base() { debian base "$BASE_SUITE" gcc,libc6-dev,ca-certificates,systemd-sysv,procps; }
