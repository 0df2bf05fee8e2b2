# ./run soak [READS]: reads with checksums beside a writer, a thousand million of them.
. tools/setup.sh
. tools/cmake.sh

setup wheel test
need_packages libgtest-dev libgmock-dev
build_package memory_store_soak_test
TF_HPS_SOAK_READS=${1:-1000000000} build/release/tests/memory_store_soak_test
