# ./run bench [--size full|medium|small] [NAME...]: the figures, each a program in benchmarks/;
# some have their work done by one in benchmarks/cc/.
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
for file in benchmarks/*.py; do
  name=$(basename "${file%.*}")
  [ "${name#_}" != "$name" ] || known+=("$name")
done
[ $# -gt 0 ] || set -- "${known[@]}"
for name in "$@"; do
  say "== $name"
  [ -e "benchmarks/$name.py" ] || die "there is no benchmark $name; known are ${known[*]}"
  [ ! -e "benchmarks/cc/$name.cc" ] || compile release "$name"
  "$venv/bin/python" "benchmarks/$name.py" --size "$size"
done
