#!/usr/bin/env bash
# A cluster of real processes under load from two clients: the primary is killed with kill -9 in the
# middle, then a backup; what was killed is started again, rejoins without its memory, and the next
# one is killed; at last all are restarted in turn under load, each after the one before votes again.
# Every acknowledged addition must be in the final value, and none twice.
#
# usage: kill-primary.sh [REPLICAS [ADDITIONS]]      default 4 replicas, 1000 additions per round
# PBFT_DEMO names the program; default: target/release/pbft-demo of this workspace, built if missing.
set -euo pipefail
replicas=${1:-4} additions=${2:-1000}
workspace=$(cd "$(dirname "$0")/../.." && pwd)
demo=${PBFT_DEMO:-$workspace/target/release/pbft-demo}
[ -x "$demo" ] || (cd "$workspace" && cargo build --release --quiet -p pbft-demo)
command -v jq >/dev/null || { echo "jq is needed to read status; install it" >&2; exit 1; }

dir=$(mktemp -d) && config=$dir/cluster.toml && pids=()
finish() {
  rm -f "$dir/go-on"
  for pid in "${pids[@]}"; do [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; done
  if [ "${failed:-1}" = 0 ]; then rm -rf "$dir"; else echo "failed; the logs are in $dir" >&2; fi
}
trap finish EXIT

start() { # ID
  "$demo" replica --config "$config" --id "$1" --memory 2>>"$dir/replica-$1.log" &
  pids[$1]=$!
}
kill9() { # ID
  kill -9 "${pids[$1]}"
  wait "${pids[$1]}" 2>/dev/null || true # its ports are free only once it is gone
  pids[$1]=
}
status() { "$demo" status --config "$config" --json; }
counter() { "$demo" counter --config "$config" --timeout 60 "$@"; }
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f s", b - a }'; }
until_true() { # WHAT JQ-CONDITION
  local start=$EPOCHREALTIME
  until status | jq -e "$2" >/dev/null; do
    sleep 0.05
    if awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { exit b - a < 60 }'; then
      echo "not within 60 s: $1" >&2; status >&2; exit 1
    fi
  done
}
primary() { status | jq '[.replicas[] | select(.reachable)] | max_by(.view).primary'; }

# Each line that a client prints is an acknowledged addition; it gets the time at which it came.
add_in_background() { # CLIENT TIMES
  { counter --client "$1" add n 1 --repeat "$2" || echo failed; } |
    while read -r value; do echo "$EPOCHREALTIME $value"; done >"$dir/acknowledged-$1" &
  adding[$1]=$!
}
acknowledged() { cat "$dir"/acknowledged-{0,1} 2>/dev/null | wc -l; }
start_load() { # TIMES-PER-CLIENT
  before=$(counter get n)
  rm -f "$dir"/acknowledged-*
  add_in_background 0 "$1"
  add_in_background 1 "$1"
}
end_load() { # WHAT
  wait "${adding[0]}" "${adding[1]}"
  if grep -q failed "$dir"/acknowledged-*; then echo "an addition failed" >&2; exit 1; fi
  local last all different gap
  last=$(counter get n)
  all=$(acknowledged)
  different=$(awk '{ print $2 }' "$dir"/acknowledged-* | sort -n | uniq | wc -l)
  gap=$(for client in 0 1; do
    awk 'NR > 1 && $1 - p > gap { gap = $1 - p } { p = $1 } END { printf "%.3f\n", gap }' "$dir/acknowledged-$client"
  done | sort -n | tail -1)
  printf '%-44s acknowledged %5d, value %6d -> %6d, longest wait for one addition %s s\n' \
    "$1" "$all" "$before" "$last" "$gap"
  if [ $((last - before)) != "$all" ] || [ "$different" != "$all" ]; then
    echo "LOST OR COUNTED TWICE: $all acknowledged, $different different values, $((last - before)) counted" >&2
    exit 1
  fi
}
until_acknowledged() { # COUNT
  while [ "$(acknowledged)" -lt "$1" ]; do sleep 0.01; done
}
kill_under_load() { # ID WHAT
  start_load $((additions / 2))
  until_acknowledged $((additions / 3))
  kill9 "$1"
  local killed=$EPOCHREALTIME
  end_load "$2 (replica $1) killed"
  # What comes within 20 ms may have been on its way.
  awk -v killed="$killed" '$1 > killed + 0.02 && (!first || $1 < first) { first = $1 }
    END { printf "%-44s the first addition after the kill came %.3f s after it\n", "", first - killed }' \
    "$dir"/acknowledged-*
}
restart() { # ID
  local start=$EPOCHREALTIME
  start "$1"
  until_true "replica $1 votes again" ".replicas[$1].voting == true"
  printf '%-44s votes again after %s\n' "replica $1 restarted without memory" "$(seconds_since "$start")"
}

"$demo" init --dir "$dir" --replicas "$replicas" --clients 2 --base-port "${BASE_PORT:-27000}" >/dev/null
for ((id = 0; id < replicas; id++)); do start "$id"; done
until_true "all vote" '[.replicas[].voting] | all(. == true)'
echo "$replicas replicas vote; $additions additions per round by two clients"

victim=$(primary)
kill_under_load "$victim" "primary"
restart "$victim"
victim=$((($(primary) + 1) % replicas))
kill_under_load "$victim" "backup"
restart "$victim"
victim=$(primary)
kill_under_load "$victim" "next primary"
restart "$victim"

# Load without end until all were restarted.
touch "$dir/go-on"
before=$(counter get n)
rm -f "$dir"/acknowledged-*
for client in 0 1; do
  while [ -e "$dir/go-on" ]; do
    counter --client "$client" add n 1 --repeat 20 || { echo failed; break; }
  done | while read -r value; do echo "$EPOCHREALTIME $value"; done >"$dir/acknowledged-$client" &
  adding[client]=$!
done
for ((id = 0; id < replicas; id++)); do
  kill9 "$id"
  restart "$id"
done
rm "$dir/go-on"
end_load "all $replicas restarted in turn under load"
until_true "all vote in one view" '[.replicas[] | select(.voting and (.changing | not)) | .view] | length == '"$replicas"' and (unique | length == 1)'
"$demo" status --config "$config"
failed=0
echo "every acknowledged addition is in the value, none twice"
