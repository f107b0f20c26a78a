#!/usr/bin/env bash
# fresh.sh SUITE ROOT KEPT LIBTORCH: debootstraps Debian SUITE into ROOT, clones HEAD of this tree into it, and runs ./dev demo
# and ./dev test there as a new user does. KEPT holds what a later run need not fetch or compile again; LIBTORCH is an
# unpacked libtorch to lend, or empty to have one downloaded. `./dev fresh` runs this as root in mount and process
# namespaces of its own, so what is mounted or started here ends with it, however it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
suite=$1 root=$2 kept=$3 libtorch=$4
debs=$kept/debs-$suite ccache=$kept/ccache-$suite
trap 'exit 130' INT   # the first process of a namespace hears only the signals that it handles
trap 'exit 143' TERM
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# --- what the host uses to reach Debian's mirrors and PyPI, and the root must use too -----------------------------
variables='^((https?|ftp|all|no)_proxy|PIP_.*|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|FATHOM_JOBS)$'
environment=()
for name in $(compgen -e | grep -iE "$variables"); do environment+=("$name=${!name}"); done

# The Debian archive that apt uses here; elsewhere debootstrap's own.
mirror=${FATHOM_FRESH_MIRROR:-}
if [ -z "$mirror" ] && command -v apt-get >/dev/null; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
fi
apt_settings=$(apt-config dump 2>/dev/null | grep -E '^Acquire::(https?|Retries|Check-)' || true)

carry_settings() {
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  printf '%s\n' "$apt_settings" >"$root/etc/apt/apt.conf.d/90host"
  local file
  for file in /usr/local/share/ca-certificates/*.crt /etc/pip.conf /etc/xdg/pip/pip.conf; do
    [ -f "$file" ] && install -D -m 644 "$file" "$root$file"
  done
  for file in "$HOME/.pip/pip.conf" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf"; do
    [ -f "$file" ] && install -D -m 644 "$file" "$root/root/.config/pip/pip.conf"
  done
  # Files and folders that the variables or apt's settings name, where the root has none of that name.
  for file in "${environment[@]#*=}" $(sed -n 's/^[^ ]*::CaInfo "\(.*\)";$/\1/Ip' <<<"$apt_settings"); do
    [[ $file == /* && -e $file && ! -e $root$file ]] && cp -rL --parents "$file" "$root"
  done
  inside update-ca-certificates &>/dev/null
}

# --- the root ----------------------------------------------------------------------------------------------------
inside() {  # nothing of the caller's environment but the settings above
  chroot "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
    "${environment[@]}" "$@"
}

make_root() {
  mkdir -p "$debs" "$ccache" "$root"
  local proxy; proxy=$(sed -n 's/^Acquire::http::Proxy "\(.*\)";$/\1/p' <<<"$apt_settings")
  http_proxy=${http_proxy:-$proxy} debootstrap --variant=minbase --include=git,ca-certificates --cache-dir="$debs" \
    "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; return 1; }
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  lend "$debs" /var/cache/apt/archives rw
  lend "$ccache" /root/.cache/ccache rw
  [ -z "$libtorch" ] || lend "$libtorch" "/root/.cache/fathom/${libtorch##*/}" ro
}

lend() {  # lend HOST_FOLDER PATH_IN_ROOT rw|ro
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
}

say "$suite in $root${mirror:+, from $mirror}"
make_root
carry_settings
git bundle create -q "$root/root/tree.bundle" HEAD
inside git -c init.defaultBranch=main -c advice.detachedHead=false clone -q /root/tree.bundle /root/fathom
say "cloned $(git log -1 --format='%h %s')"
[ -z "$(git status --porcelain)" ] || say "changes that are not committed are not in it"

failed=()
for verb in demo test; do
  say "$suite: ./dev $verb"
  TIMEFORMAT="$suite: ./dev $verb took %0R s, %0U + %0S s of CPU"
  time inside bash -c "cd /root/fathom && ./dev $verb" || failed+=("$verb")
done
[ ${#failed[@]} -eq 0 ] || { say "$suite: failed: ${failed[*]}"; exit 1; }
