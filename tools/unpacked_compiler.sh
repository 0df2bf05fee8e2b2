# A C++ compiler from packages unpacked into .deps/, for machines that have neither g++ nor root.

# The compiler finds its own parts beside itself. The C library's headers and start files it has to be
# told, and binutils where their libraries are: hence the wrappers in .deps/bin.
need_unpacked_compiler() {
  local arch=x86_64-linux-gnu program
  need_packages g++ libc6-dev
  mkdir -p "$deps/bin"
  # A linker script that names the static half of libc by its place under /.
  sed -i "s# /usr/lib/$arch/libc_nonshared.a# libc_nonshared.a#" "$deps/usr/lib/$arch/libc.so"
  for program in gcc g++; do
    wrap $program "-B$deps/usr/lib/$arch" "-L$deps/usr/lib/$arch" -idirafter "$deps/usr/include" \
      -idirafter "$deps/usr/include/$arch"
  done
  for program in ar as ld nm objcopy ranlib readelf strip; do
    wrap "$program"
  done
  PATH=$deps/bin:$PATH
  export CC=$deps/bin/gcc CXX=$deps/bin/g++
}

# wrap PROGRAM ARGUMENT...: .deps/bin/PROGRAM, which passes the arguments before its own.
wrap() {
  local program=$1
  shift
  cat >"$deps/bin/$program" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH="$deps/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$deps/usr/bin/$program" $([ $# -eq 0 ] || printf '"%s" ' "$@")"\$@"
EOF
  chmod +x "$deps/bin/$program"
}
