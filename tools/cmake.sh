# Builds with CMake, one folder a flavour: build/release, build/address, build/thread.

# cmake_arguments: how this checkout is configured, whatever the flavour.
cmake_arguments() {
  printf '%s\n' -G Ninja "-DPython_EXECUTABLE=$venv/bin/python"
  [ ! -d "$deps/have" ] || printf '%s\n' "-DTF_HPS_DEPS_DIR=$deps"
  local headers
  headers=$(ls -d "$deps"/usr/include/python3.* 2>/dev/null | head -n 1)
  [ -z "$headers" ] || printf '%s\n' "-DPython_INCLUDE_DIR=$headers"
}

# configure FLAVOUR ARGUMENT...
configure() {
  local folder=build/$1 arguments
  shift
  mapfile -t arguments < <(cmake_arguments)
  arguments+=("$@")
  # Ninja calls CMake itself when a CMakeLists.txt changes; only other arguments need a call from here.
  [ "${arguments[*]}" != "$(cat "$folder/configured" 2>/dev/null)" ] || return 0
  step "Configuring $folder" cmake -S . -B "$folder" "${arguments[@]}"
  printf '%s' "${arguments[*]}" >"$folder/configured"
}

# compile FLAVOUR TARGET...: silent when there is nothing to do.
compile() {
  local folder=build/$1
  shift
  step_quiet=1 step "Compiling $* in $folder with $(jobs) jobs" ninja -C "$folder" -j "$(jobs)" "$@"
}

# The package in place, and whatever else the release folder is asked for.
build_package() {
  configure release "-DTF_HPS_OUTPUT_DIR=$root/tf_hps" -DTF_HPS_TESTS=$(flag test) -DTF_HPS_EXAMPLES=ON -DTF_HPS_BENCHMARKS=ON
  compile release tf_hps_ops _core _rocksdb serve "$@"
  install_package
}

# Tests need GoogleTest: a checkout that has it once configures with it from then on.
flag() { [ -e "$venv/have/$1" ] && echo ON || echo OFF; }

# An editable install: Python sees the checkout, and `tf-hps` is in .venv/bin.
install_package() {
  local facts
  facts=$(cat pyproject.toml setup.py tf_hps/_version.py | sha256sum)
  [ "$facts" != "$(cat "$venv/have/package" 2>/dev/null)" ] || return 0
  step "Installing the package into .venv" env CMAKE_BUILD_PARALLEL_LEVEL="$(jobs)" \
    CMAKE_ARGS="$(cmake_arguments | grep -v Ninja | grep -v '^-G' | tr '\n' ' ')" \
    "$venv/bin/python" -m pip install --no-build-isolation --no-deps -e .
  printf '%s' "$facts" >"$venv/have/package"
}
