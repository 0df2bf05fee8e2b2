# ./run quickstart: the main job, from training to a C++ server.
. tools/setup.sh
. tools/cmake.sh

setup
build_package
exec "$venv/bin/python" examples/quickstart.py --server build/release/examples/serve "$@"
