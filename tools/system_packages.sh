# System packages: with apt-get as root, otherwise unpacked into .deps/.

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] || [ -e "$deps/have/$1" ]
}

# need_packages PACKAGE...: installs those that are missing.
need_packages() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ]; then
    step "Installing ${missing[*]} with apt-get" install_packages "${missing[@]}"
  else
    step "Unpacking ${missing[*]} into .deps/ (no root)" unpack_packages "${missing[@]}"
  fi
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=600)
  # With fresh lists only where the present ones do not do: it is slow, and may fail for a foreign source.
  apt-get install "${options[@]}" "$@" && return
  apt-get update || true
  apt-get install "${options[@]}" "$@"
}

# Packages that are not installed and that $@ need, $@ included. Upgrades of what is installed are left
# out: a second libc beside the first is worse than an older one.
missing_with_dependencies() {
  local plan
  plan=$(apt-get "${apt_options[@]}" -s install --no-install-recommends "$@") || return 1
  awk '$1 == "Inst" && $3 !~ /^\[/ {print $2}' <<<"$plan" | while read -r package; do
    [ -e "$deps/lists/$package.list" ] || echo "$package"
  done
}

unpack_packages() {
  mkdir -p "$deps"/{have,lists,apt/debs,apt/cache/archives/partial,apt/lists/partial}
  apt_options=(-o Dir::Cache="$deps/apt/cache" -o Debug::NoLocking=1)
  [ ! -e "$deps/apt/private" ] || apt_options+=(-o Dir::State::lists="$deps/apt/lists")
  local packages
  if ! packages=$(missing_with_dependencies "$@") || ! download_packages $packages; then
    # The machine's package lists are missing or old; lists of our own then.
    touch "$deps/apt/private"
    apt_options+=(-o Dir::State::lists="$deps/apt/lists")
    apt-get "${apt_options[@]}" update || true
    packages=$(missing_with_dependencies "$@")
    download_packages $packages
  fi
  local archive package
  for archive in $(find "$deps/apt/debs" -name "*.deb"); do
    dpkg-deb -x "$archive" "$deps"
    package=$(dpkg-deb -f "$archive" Package)
    dpkg-deb --fsys-tarfile "$archive" | tar -t >"$deps/lists/$package.list"
    rm "$archive"
  done
  point_links_to_the_system
  for package in "$@"; do
    touch "$deps/have/$package"
  done
}

# A development package's libNAME.so names a library beside it. Where that one was installed before, it
# was not unpacked: the linker would take the static libNAME.a, which fits no shared library.
point_links_to_the_system() {
  local link name folder
  find "$deps" -xtype l -name "*.so*" | while read -r link; do
    name=$(basename "$(readlink "$link")")
    for folder in "/usr/lib/$(uname -m)-linux-gnu" "/lib/$(uname -m)-linux-gnu" /usr/lib; do
      if [ -e "$folder/$name" ]; then
        ln -sfn "$folder/$name" "$link"
        break
      fi
    done
  done
}

download_packages() {
  [ $# -eq 0 ] || (cd "$deps/apt/debs" && apt-get "${apt_options[@]}" download "$@")
}
