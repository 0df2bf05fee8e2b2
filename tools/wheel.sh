# ./run wheel: a wheel that installs with pip alone, in dist/.
. tools/setup.sh
. tools/cmake.sh

setup wheel
build_package
exec "$venv/bin/python" tools/make_wheel.py --jobs "$(jobs)" --cmake "$(cmake_arguments | grep '^-D' | tr '\n' ' ')" "$@"
