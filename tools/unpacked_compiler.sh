# A C++ compiler from packages unpacked into .deps/, for machines that have neither g++ nor root.

# The compiler finds its own parts beside itself. The linker's libraries, the C library's headers and
# its start files it has to be told.
need_unpacked_compiler() {
  local arch=x86_64-linux-gnu
  need_packages g++ libc6-dev
  mkdir -p "$deps/bin"
  local version
  version=$(basename "$(readlink "$deps/usr/bin/g++")")
  cat >"$deps/bin/g++" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH="$deps/usr/lib/$arch\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export PATH="$deps/usr/bin:\$PATH"
exec "$deps/usr/bin/$version" -B"$deps/usr/lib/$arch" -L"$deps/usr/lib/$arch" \\
  -idirafter "$deps/usr/include" -idirafter "$deps/usr/include/$arch" "\$@"
EOF
  chmod +x "$deps/bin/g++"
  PATH=$deps/bin:$deps/usr/bin:$PATH
  export CXX=$deps/bin/g++ LDFLAGS=
}
