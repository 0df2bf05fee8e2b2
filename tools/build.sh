# ./run build: the package, in place in .venv, and the C++ example.
. tools/setup.sh
. tools/cmake.sh

setup
build_package
say "Built: tf_hps/_tf_hps_ops.so, tf_hps/_core and _rocksdb, build/release/examples/serve; use .venv/bin/python and .venv/bin/tf-hps"
