# ./run soak [READS] [KILLS]: reads with checksums beside a writer, a thousand million of them; then a
# server that follows a stream is killed ten thousand times.
. tools/setup.sh
. tools/cmake.sh

setup wheel test
need_packages libgtest-dev libgmock-dev
build_package memory_store_soak_test update_kill_test
TF_HPS_SOAK_READS=${1:-1000000000} build/release/tests/memory_store_soak_test
TF_HPS_TEST_KILLS=${2:-10000} build/release/tests/update_kill_test --gtest_filter=UpdateKillTest.*
