# shellcheck shell=bash
# Progress lines and plain failures for the scripts of this tree. Sourced, not run.
#
#   steps_total N            N steps will follow
#   step TEXT                "[2/7   14s] TEXT"; the seconds since the script started
#   note TEXT                a line under the step
#   die TEXT [MEND]          what is wrong, what to do, exit 1
#   die_with_log FILE TEXT [MEND]   the same, after the last lines of FILE
#   run_logged FILE CMD ...  runs CMD with its output appended to FILE; a sign of life each 30 s

# A command in the background does not hear Ctrl-C; it is ended with the script. A script with an EXIT trap of its own
# calls this in it.
steps_child=
steps_end_child() { [ -z "$steps_child" ] || kill "$steps_child" 2>/dev/null || true; }
trap steps_end_child EXIT

steps_started=$SECONDS
steps_count=0
steps_all=0

steps_total() {
  steps_all=$1
  steps_count=0
}

step() {
  steps_count=$((steps_count + 1))
  printf '[%d/%d %4ds] %s\n' "$steps_count" "$steps_all" "$((SECONDS - steps_started))" "$*"
}

note() { printf '             %s\n' "$*"; }

die() {
  printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
  [ $# -lt 2 ] || printf 'What to do: %s\n' "$2" >&2
  exit 1
}

die_with_log() {
  local log=$1
  shift
  printf '\n--- the last lines of %s\n' "$log" >&2
  tail -n 40 "$log" >&2 || true
  printf -- '---\n' >&2
  die "$@"
}

run_logged() {
  local log=$1 pid started=$SECONDS
  shift
  printf '\n$ %s\n' "$*" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null &
  pid=$!
  steps_child=$pid
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ $(((SECONDS - started) % 30)) -eq 29 ]; then
      note "still at it, $((SECONDS - started)) s: $(tail -n 1 "$log" | tr -d '\r' | cut -c1-90)"
      sleep 1
    fi
  done
  steps_child=
  wait "$pid"
}
