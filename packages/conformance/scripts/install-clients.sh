#!/usr/bin/env bash
# Installs the clients that the tests drive, where they are missing: OpenSSH's ssh, scp, sftp and ssh-keygen, its
# sftp-server (the one that a pod of local processes runs), util-linux, and kubectl. It asks Debian's package manager, and
# says what is missing and what would install it where it cannot. Exits 0 when everything is there afterwards.
set -u

# command or file to look for, and the Debian package that has it
needed=(
  "ssh openssh-client"
  "scp openssh-client"
  "sftp openssh-client"
  "ssh-keygen openssh-client"
  "/usr/lib/openssh/sftp-server openssh-sftp-server"
  "setsid util-linux"
  "unshare util-linux"
  "kubectl kubernetes-client"
)

# The places where distributions keep sftp-server, which is in nobody's PATH.
sftp_servers="/usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/sftp-server"

present() {
  case "$1" in
    */sftp-server)
      for candidate in $sftp_servers; do [ -x "$candidate" ] && return 0; done
      return 1
      ;;
    *) command -v "$1" > /dev/null 2>&1 ;;
  esac
}

missing_packages() {
  for entry in "${needed[@]}"; do
    read -r what package <<< "$entry"
    present "$what" || echo "$package"
  done | sort -u | tr '\n' ' ' | sed 's/ $//'
}

missing="$(missing_packages)"
if [ -z "$missing" ]; then
  echo "the clients that the tests need are installed"
  exit 0
fi

sudo=""
if [ "$(id -u)" != 0 ]; then sudo="sudo -n"; fi
if ! command -v apt-get > /dev/null 2>&1; then
  echo "missing: $missing. There is no apt-get here: install what these Debian packages hold by your system's own means." >&2
  exit 1
fi
if [ -n "$sudo" ] && ! sudo -n true 2> /dev/null; then
  echo "missing: $missing. Installing needs root: run 'apt-get install $missing' as root, then try again." >&2
  exit 1
fi

echo "installing $missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # both are lists of words
if ! { $sudo apt-get update -q && $sudo apt-get install -q -y --no-install-recommends $missing; } > /tmp/install-clients.$$.log 2>&1; then
  tail -n 20 /tmp/install-clients.$$.log >&2
fi
rm -f /tmp/install-clients.$$.log

missing="$(missing_packages)"
if [ -n "$missing" ]; then
  echo "still missing after apt-get: $missing. The tests that drive these clients cannot run." >&2
  exit 1
fi
echo "the clients that the tests need are installed"
