# ./run lint [--fix]: formatters, linters, types, includes, locks. Runs them all, then fails if one did.
. tools/setup.sh
. tools/cmake.sh

fix=
case ${1:-} in
  --fix) fix=1 ;;
  "") ;;
  *) die "./run lint knows --fix only. Received: $1" ;;
esac

setup lint
compgen -c clang++ >/dev/null || need_packages clang
command -v git >/dev/null || need_packages git
mapfile -t cc_files < <(git ls-files -co --exclude-standard '*.cc' '*.h' '*.cu')

failed=()
check() {
  local name=$1
  shift
  if "$@"; then say "ok      $name"; else
    say "FAILED  $name"
    failed+=("$name")
  fi
}

if [ -n "$fix" ]; then
  clang-format -i "${cc_files[@]}"
  ruff check -q --fix-only .
  ruff format -q .
fi
check "clang-format" clang-format --dry-run --Werror "${cc_files[@]}"
check "ruff check" ruff check -q .
check "ruff format" ruff format -q --diff .
check "mypy" mypy --no-error-summary
check "includes and floors" "$venv/bin/python" tools/check_includes.py
check "lines per file" "$venv/bin/python" tools/check_lengths.py
check "locks (clang -Wthread-safety)" "$venv/bin/python" tools/check_locks.py
[ ${#failed[@]} -eq 0 ] || die "lint failed: ${failed[*]} (./run lint --fix mends what a formatter can)"
