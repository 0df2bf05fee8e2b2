# What the other scripts share: words, times, paths. Sourced at the top of the checkout.

root=$PWD
deps=$root/.deps
venv=$root/.venv
logs=$root/build/logs

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND...: says what is done and how long it took; the output goes to a log that is shown
# when the command fails. On a terminal a clock runs meanwhile. With step_quiet=1 nothing is said about
# what takes less than 3 s: it had nothing to do.
step() {
  local name=$1 log status=0 began=$SECONDS clock= quiet=${step_quiet:-0}
  shift
  mkdir -p "$logs"
  log=$logs/$(printf '%s' "$name" | tr -cs 'A-Za-z0-9' '_').log
  if [ -t 1 ]; then
    (sleep $((2 * quiet)); while sleep 1; do printf '\r%s ... %d s' "$name" $((SECONDS - began)); done) &
    clock=$!
  elif [ "$quiet" = 0 ]; then
    printf '%s ...\n' "$name"
  fi
  # Not `"$@" || status=$?`: bash ignores errors inside a function that is part of a condition.
  set +e
  (set -e; "$@") </dev/null >"$log" 2>&1
  status=$?
  set -e
  if [ -n "$clock" ]; then
    kill "$clock" 2>/dev/null || true
    wait "$clock" 2>/dev/null || true
    printf '\r'
  fi
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$log" >&2
    die "$name failed after $((SECONDS - began)) s; all it said is in ${log#"$root"/}"
  fi
  [ "$quiet" = 1 ] && [ $((SECONDS - began)) -lt 3 ] && return
  printf '%s: done in %d s\n' "$name" $((SECONDS - began))
}

# Compilers at once: one a core, and a GiB and a half of memory each (TensorFlow's headers are large).
jobs() {
  local kib
  kib=$(awk '/^MemAvailable/ {print $2}' /proc/meminfo)
  local by_memory=$((kib / 1572864)) cores
  cores=$(nproc)
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo "${RUN_JOBS:-$((cores < by_memory ? cores : by_memory))}"
}
