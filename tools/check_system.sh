# Says in one line what to do where tf_hps cannot work, before anything is installed.

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Prints the first Python that TensorFlow has wheels for.
find_python() {
  local candidate
  for candidate in ${RUN_PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
    command -v "$candidate" >/dev/null || continue
    case $(python_version "$candidate") in
      3.10 | 3.11 | 3.12 | 3.13) command -v "$candidate" && return ;;
    esac
  done
  return 1
}

check_system() {
  [ "$(uname -s)" = Linux ] || die "tf_hps needs Linux; this is $(uname -s). A Debian or Ubuntu container does."
  [ "$(uname -m)" = x86_64 ] || die "tf_hps needs an x86-64 CPU; this is $(uname -m)."
  grep -qw avx /proc/cpuinfo || die "TensorFlow's wheel needs a CPU with AVX; this one has none."
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die "tf_hps is set up with apt-get and dpkg-deb: use Debian 12 or Ubuntu 22.04 or later."
  if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python) || die "Python 3.10 to 3.13 is needed, found ${RUN_PYTHON:-$(python3 --version 2>&1)}:" \
      "install one (apt-get install python3) or name it in RUN_PYTHON."
    # TensorFlow 2 GiB, three builds 2 GiB, packages.
    local free_mib
    free_mib=$(df --output=avail -m "$root" | tail -n 1)
    [ "$free_mib" -ge 6144 ] || die "6 GiB of disk are needed in $root, $((free_mib)) MiB are free: make room."
  fi
  local memory_mib
  memory_mib=$(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) / 1024))
  [ "$memory_mib" -ge 3500 ] || die "4 GiB of memory are needed to build, this machine has $memory_mib MiB."
}
