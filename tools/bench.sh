# ./run bench [--size full|medium|small] [NAME...]: the figures, each a program in benchmarks/ (Python) or benchmarks/cc/ (C++).
# benchmarks/README.md explains them.
. tools/setup.sh
. tools/cmake.sh

setup bench
build_package

size=full
if [ "${1:-}" = --size ]; then
  [ $# -ge 2 ] || die "--size is full, medium or small"
  size=$2
  shift 2
fi
known=()
for file in benchmarks/*.py benchmarks/cc/*.cc; do
  name=$(basename "${file%.*}")
  [ ! -e "$file" ] || [ "${name#_}" != "$name" ] || known+=("$name")
done
[ $# -gt 0 ] || set -- "${known[@]}"
for name in "$@"; do
  say "== $name"
  if [ -e "benchmarks/$name.py" ]; then
    "$venv/bin/python" "benchmarks/$name.py" --size "$size"
  elif [ -e "benchmarks/cc/$name.cc" ]; then
    compile release "$name"
    "build/release/benchmarks/$name"
  else
    die "there is no benchmark $name; known are ${known[*]}"
  fi
done
