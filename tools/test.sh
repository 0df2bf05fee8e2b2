# ./run test: builds the C++ tests three times (release, AddressSanitizer with UBSan, ThreadSanitizer)
# and lets pytest run them with the Python ones. Arguments go to pytest.
. tools/setup.sh
. tools/cmake.sh

setup wheel test
need_packages libgtest-dev libgmock-dev redis-server openssl
# Forty packages, so in CI only, and where there are any; tests/python/bazel_test.py is skipped without.
if [ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && apt-get -s install bazel-bootstrap >/dev/null 2>&1; then
  (need_packages bazel-bootstrap) || warn "bazel-bootstrap was not installed: its tests are skipped"
fi
# Where they are unpacked; the tests find servers in PATH.
PATH=$PATH:$deps/usr/bin
[ ! -d "$deps/have" ] || export TF_HPS_TEST_LIBRARIES=$deps/usr/lib/x86_64-linux-gnu
build_package cc_tests cc_benchmarks
for flavour in address thread; do
  configure "$flavour" -DTF_HPS_TESTS=ON "-DTF_HPS_SANITIZE=$flavour"
  compile "$flavour" cc_tests
done
# As many at once as there are cores, four at most: each has TensorFlow in memory, 2 GB at times.
workers=$(nproc)
((workers <= 4)) || workers=4
exec "$venv/bin/python" -m pytest -n "$workers" --dist worksteal "$@"
