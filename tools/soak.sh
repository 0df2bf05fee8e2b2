# ./run soak [READS] [KILLS]: reads with checksums beside a writer, a thousand million of them; then a
# server that follows a stream is killed ten thousand times.
. tools/setup.sh
. tools/cmake.sh

setup wheel test
need_packages libgtest-dev libgmock-dev
build_package storage_tests hierarchy_tests
TF_HPS_SOAK_READS=${1:-1000000000} build/release/tests/storage_tests --gtest_filter=MemoryStoreSoak*
TF_HPS_TEST_KILLS=${2:-10000} build/release/tests/hierarchy_tests --gtest_filter=UpdateKillTest.*
