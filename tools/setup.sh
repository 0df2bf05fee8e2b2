# Brings the checkout to where a command can run. Does nothing that is done.

. tools/check_system.sh
. tools/system_packages.sh

# setup EXTRA...: the system's packages, .venv with the package's requirements and those of the extras
# (build is always one of them).
setup() {
  check_system
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=
  unset PYTHONPATH PYTHONHOME
  need_compiler
  need_packages librocksdb-dev nlohmann-json3-dev libssl-dev
  make_venv
  need_python_headers
  need_requirements build "$@"
  PATH=$venv/bin:$PATH
}

need_compiler() {
  if command -v g++ >/dev/null; then return; fi
  if [ "$(id -u)" = 0 ]; then
    need_packages g++ libc6-dev
  else
    . tools/unpacked_compiler.sh
    need_unpacked_compiler
  fi
}

# "3.11" where the system's own Python made the virtual environment, else nothing: only that one has
# parts in packages of their own.
system_python_version() {
  local base
  base=$("$1" -c 'import os, sys; print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))')
  case $base in /usr/bin/python3.*) echo "${base#/usr/bin/python}" ;; esac
}

make_venv() {
  [ ! -x "$venv/bin/python" ] || [ ! -e "$venv/complete" ] || return 0
  rm -rf "$venv"
  local version
  version=$(system_python_version "$python")
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    step "Making a virtual environment with $("$python" --version)" "$python" -m venv "$venv"
  elif [ -n "$version" ] && [ "$(id -u)" = 0 ]; then
    need_packages "python$version-venv"
    step "Making a virtual environment with $("$python" --version)" "$python" -m venv "$venv"
  elif [ -n "$version" ]; then
    # python3-venv cannot be unpacked elsewhere; pip's own wheel is enough to install pip.
    need_packages python3-pip-whl
    step "Making a virtual environment with $("$python" --version)" make_venv_with_pip_wheel
  else
    die "$python has no ensurepip: name a whole Python in RUN_PYTHON"
  fi
  touch "$venv/complete"
}

make_venv_with_pip_wheel() {
  "$python" -m venv --without-pip "$venv"
  local wheel
  wheel=$(ls "$deps"/usr/share/python-wheels/pip-*.whl | head -n 1)
  "$venv/bin/python" "$wheel/pip" install pip
}

need_python_headers() {
  local include version
  include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [ ! -e "$include/Python.h" ] || return 0
  version=$(system_python_version "$venv/bin/python")
  [ -n "$version" ] || die "$include/Python.h is missing: name a Python with its headers in RUN_PYTHON"
  need_packages "python$version-dev"
}

# One pip run for all extras that are not there yet; a changed pyproject.toml is noticed.
need_requirements() {
  local extra wanted=() lines stamp
  mkdir -p "$venv/have"
  for extra in "$@"; do
    stamp=$venv/have/$extra
    lines=$("$venv/bin/python" tools/requirements.py "$extra")
    [ "$lines" = "$(cat "$stamp" 2>/dev/null)" ] || wanted+=("$extra")
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  local requirements
  mapfile -t requirements < <("$venv/bin/python" tools/requirements.py "${wanted[@]}")
  step "Installing Python packages for ${wanted[*]} into .venv (TensorFlow is 600 MB)" \
    "$venv/bin/python" -m pip install --prefer-binary "${requirements[@]}"
  for extra in "${wanted[@]}"; do
    "$venv/bin/python" tools/requirements.py "$extra" >"$venv/have/$extra"
  done
}
