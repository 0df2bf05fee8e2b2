#!/usr/bin/env bash
# Puts what benchmarks/gpu/run.sh needs besides CUDA and gcc into build/gpu-deps: absl, GoogleTest and
# nlohmann/json, as Debian's packages with static libraries. To be run where apt-get reaches a mirror; the
# folder (below 15 MB) then goes with the checkout to a machine that reaches nothing.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

rm -rf build/gpu-deps build/gpu-debs
mkdir -p build/gpu-deps build/gpu-debs
(cd build/gpu-debs && apt-get download -q libabsl-dev libgtest-dev libgmock-dev nlohmann-json3-dev)
for package in build/gpu-debs/*.deb; do
  dpkg-deb -x "$package" build/gpu-deps
done
find build/gpu-deps -name 'libabsl_flags*' -delete
find build/gpu-deps -name 'libabsl_random*' -delete
rm -rf build/gpu-debs build/gpu-deps/usr/share build/gpu-deps/usr/src
find build/gpu-deps \( -name "*.so*" -o -name cmake -o -name pkgconfig \) -prune -exec rm -rf {} +
# Libraries and headers without the name of an architecture in their path.
libraries=$(dirname "$(find build/gpu-deps -name libabsl_status.a)")
mv "$libraries" build/gpu-deps/lib
mv build/gpu-deps/usr/include build/gpu-deps/include
rm -rf build/gpu-deps/usr
du -sh build/gpu-deps
