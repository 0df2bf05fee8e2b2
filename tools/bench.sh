# ./run bench: the figures. Arguments go to benchmarks/run.py.
. tools/setup.sh
. tools/cmake.sh

setup bench
build_package
exec "$venv/bin/python" benchmarks/run.py "$@"
