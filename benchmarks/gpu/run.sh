#!/usr/bin/env bash
# Builds the GPU cache with nvcc, runs its tests on the device of this machine, then the benchmark; see
# docs/gpu.md. Needs CUDA, gcc, Python, and build/gpu-deps (from pack.sh); no network, no TensorFlow.
#   benchmarks/gpu/run.sh [--size small|full] [--sanitize]
# --sanitize runs the tests under compute-sanitizer's memcheck.
# Results go to $OUT/gpu.json, or build/benchmarks/gpu.json. Ends with 1 where a test failed.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

size=full
under=()
while [ $# != 0 ]; do
  case $1 in
    --size) size=${2:-} && shift ;;
    --sanitize) under=(compute-sanitizer --report-api-errors no --error-exitcode 1) ;;
    *) die "benchmarks/gpu/run.sh knows --size small|full and --sanitize. Received: $1" ;;
  esac
  shift || die "--size is small or full. Received nothing"
done
case $size in small | full) ;; *) die "--size is small or full. Received: $size" ;; esac

nvcc=${NVCC:-$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc)} || die "there is no nvcc in PATH or /usr/local/cuda/bin"
deps=build/gpu-deps
[ -f "$deps/lib/libabsl_status.a" ] || die "$deps is not there: run benchmarks/gpu/pack.sh where apt-get works"
objects=build/gpu
results=${OUT:-build/benchmarks}
mkdir -p "$objects" "$results"

capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 2>/dev/null | tr -d . || true)
export nvcc deps objects architecture=sm_${capability:-90}

# compile SOURCE [-DNAME=VALUE SUFFIX]. Rounded as in the op library: no products and sums in one.
compile() {
  local flags=(-std=c++17 -c -I. -isystem "$deps/include" -Xcompiler -ffp-contract=off,-idirafter,benchmarks/gpu/absl_log)
  case $1 in
    *.cu) flags+=(-O2 -arch="$architecture" --expt-relaxed-constexpr -fmad=false) ;;
    *_avx512.cc) flags+=(-O2 -Xcompiler -mavx512f,-mavx512bw,-mavx512dq,-mavx512vl,-mavx2,-mfma,-mf16c,-mbmi,-mbmi2,-mlzcnt) ;;
    *_avx2.cc) flags+=(-O2 -Xcompiler -mavx2,-mfma,-mf16c,-mbmi,-mbmi2,-mlzcnt) ;;
    tests/*) flags+=(-O0) ;;
    *) flags+=(-O2) ;;
  esac
  "$nvcc" "${flags[@]}" "${@:2:1}" "$1" -o "$objects/$(basename "$1" | tr . _)${3:-}.o"
}
export -f compile

link() {
  local program=$1
  shift
  "$nvcc" -arch="$architecture" "$@" -Xlinker --start-group "$deps"/lib/*.a -Xlinker --end-group -lpthread -o "$objects/$program"
}

cache=(cc/cache/*.cu cc/cache/*.cc cc/common/{bag_combiner,row_format,cpu_isa}.cc cc/common/row_codec*.cc cc/common/row_sum*.cc)
# A table on the memory store: no RocksDB, no Redis, no stream.
tiers=(cc/common/{cgroup,hit_rate_curve,reuse_depths,thread_pool,update_position}.cc cc/common/{config,key_choice}*.cc
  cc/storage/{address_range,eviction_policy,frequency_sketch,memory_backend,memory_row_ages,memory_store,row_slab,store_backend}.cc
  cc/storage/key_index*.cc cc/storage/set_probe*.cc
  cc/hierarchy/{background_fills,commit_gate,commit_overlay,detached_reads,hot_keys,missed_rows,row_promoter}.cc
  cc/hierarchy/{store_preloader,store_reads,table_health,table_update,table_warmup,unique_keys}.cc
  cc/hierarchy/{device_,embedding_table,key_sampler}*.cc)
tests=(tests/cc/cache/*_test.cc)
benchmark=(benchmarks/gpu/*.cu benchmarks/gpu/*.cc)
echo "building for $architecture ..."
printf '%s\n' "${tests[@]}" "${benchmark[@]}" "${cache[@]}" "${tiers[@]}" |
  xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'compile {}' || die "the build failed"

objects_of() {
  local source
  for source; do printf '%s\n' "$objects/$(basename "$source" | tr . _).o"; done
}
mapfile -t cache_objects < <(objects_of "${cache[@]}")
mapfile -t tiers_objects < <(objects_of "${tiers[@]}")
mapfile -t test_objects < <(objects_of "${tests[@]}")
mapfile -t benchmark_objects < <(objects_of "${benchmark[@]}")
link cache_tests "${test_objects[@]}" "${cache_objects[@]}"
# GoogleTest's main is in the group of libraries: the linker takes it where none is defined.
link gpu_cache "${benchmark_objects[@]}" "${tiers_objects[@]}" "${cache_objects[@]}"
variants=(same prefetch both_homes l2_window half_grid)  # in the order of their numbers
for i in "${!variants[@]}"; do
  echo "$i ${variants[i]}"
done | xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'set -- {} && compile benchmarks/gpu/variants/lookup_variant.cu "-DTF_HPS_VARIANT=$1" "_$2"' ||
  die "the build of the variants failed"
for variant in "${variants[@]}"; do
  others=("${cache_objects[@]/$objects\/lookup_kernel_cu.o/$objects/lookup_variant_cu_$variant.o}")
  link "gpu_cache_$variant" "${benchmark_objects[@]}" "${tiers_objects[@]}" "${others[@]}"
done

[ -n "$capability" ] || die "built, but nvidia-smi names no device on this machine: nothing was run"

failed=0
rm -f "$objects/tests.json" "$objects/results.jsonl"
echo "tests on the device ..."
timeout 150 "${under[@]}" "$objects/cache_tests" --gtest_brief=1 "--gtest_output=json:$objects/tests.json" || failed=1
echo "benchmark, --size $size ..."
timeout 270 "$objects/gpu_cache" "$size" >"$objects/results.jsonl" || failed=1
echo "variants of the lookup kernel, --size small, twice in turns ..."
rm -f "$objects"/variant_*.jsonl
for variant in "${variants[@]}" "${variants[@]}"; do
  timeout 60 "$objects/gpu_cache_$variant" small hits >>"$objects/variant_$variant.jsonl" || failed=1
done
python3 benchmarks/gpu/report.py "$objects" "$results/gpu.json" "$size" || failed=1
exit "$failed"
