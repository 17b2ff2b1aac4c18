# What the cases of tests/cluster share: one cluster in a temporary folder, and words to say what must hold.

passed=0
failed=0
failures=()

summary() {
  [ ${#failures[@]} = 0 ] || printf 'FAILED %s\n' "${failures[@]}"
  echo "$passed passed, $failed failed"
  [ $failed = 0 ] || exit 1
}

# Below the range from which connections get the numbers of their own ends: one of them would have the port when
# orlopd comes back for it.
free_port() {
  python3 -c '
import random, socket
while True:
    port = random.randint(20000, 29999)
    try:
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
        print(port)
        break
    except OSError:
        pass'
}

# --------------------------------------------------------------------------------------------------- the cluster

cluster_make() {
  work=$(mktemp -d /tmp/orlop-cluster.XXXXXX)
  images=${XDG_CACHE_HOME:-$HOME/.cache}/orlop/images
  port=$(free_port)
  "$root/tools/machine" snapshot "$work/before.json"
  mkdir -p "$work/etc"
  cat >"$work/orlop.yaml" <<END
node: {name: test-node}
folders: {config: $work/etc, data: $work/data, run: $work/run}
plugins:
  - name: api-kubernetes
    config: {listen: "0.0.0.0:$port"}
  - name: node-agent
    config: {container_log_size_max: 100Ki, cluster_dns: [10.96.0.10]}
  - name: dns
    hosted: isolated
END
  "$root/tools/images/build" --output "$images" >"$work/images.log" 2>&1 || cat "$work/images.log"
  "$root/tools/images/registry" start --offline --state "$work/registry" --images "$images" --hosts "$work/etc/certs.d" \
    --login orlop:barnacle >"$work/registry.log" 2>&1 || cat "$work/registry.log"
  export KUBECONFIG=$work/etc/admin.kubeconfig
  kubectls=${ORLOP_TEST_KUBECTLS:-}
  if [ -z "$kubectls" ]; then
    kubectls=$(command -v kubectl || true)
    older=$(dirname "$(readlink -f "${kubectls:-/}")")/kubectl.1.27
    [ ! -x "$older" ] || kubectls="$kubectls $older"
  fi
  [ ! -x "$build/bin/orlop" ] || kubectls="$kubectls $build/bin/orlop"
  k=${kubectls%% *}
}

daemon_start() {
  setsid --fork bash -c 'echo $$ >"$1/orlopd.pid"; exec "$2/bin/orlopd" --config "$1/orlop.yaml"' \
    cluster "$work" "$build" >>"$work/orlopd.log" 2>&1 </dev/null
}
daemon_pid() { cat "$work/orlopd.pid"; }
daemon_kill() { kill -"${1:-9}" "$(daemon_pid)"; }
ready() { [ "$(curl -sk --max-time 2 -o /dev/null -w '%{http_code}' "https://127.0.0.1:$port/readyz")" = 200 ]; }

cluster_start() {
  daemon_start
  wait_for 60 ready
}

cluster_remove() {
  daemon_kill TERM 2>/dev/null
  wait_for 15 daemon_gone || daemon_kill 9 2>/dev/null
  "$root/tools/machine" clean --run "$work/run" --data "$work/data" --ties "$work" --snapshot "$work/before.json" \
    >"$work/clean.log" 2>&1
  "$root/tools/images/registry" stop --state "$work/registry" >/dev/null 2>&1
  if ! left=$("$root/tools/machine" diff "$work/before.json"); then
    failed=$((failed + 1))
    failures+=("nothing is left on the machine afterwards: $left")
  else
    passed=$((passed + 1))
  fi
  if [ -n "${ORLOP_TEST_KEEP:-}" ]; then echo "left: $work"; else rm -rf "$work"; fi
}
daemon_gone() { ! kill -0 "$(daemon_pid)" 2>/dev/null; }

# --------------------------------------------------------------------------------------------------- the words

# wait_for SECONDS COMMAND...: until it succeeds; no longer than that.
wait_for() {
  local until=$(($(date +%s%N) + $1 * 1000000000))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s%N)" -lt $until ] || return 1
    sleep 0.05
  done
}

# Each of these ends the test when it does not hold, and says what was seen.
fail() {
  echo "    $*"
  exit 1
}
must() { "$@" >"$work/out" 2>&1 || fail "$* ended with $?: $(head -c 2000 "$work/out")"; }
must_fail() { ! "$@" >"$work/out" 2>&1 || fail "$* succeeded: $(head -c 2000 "$work/out")"; }
says() { grep -qF -- "$1" "$work/out" || fail "expected «$1» in: $(head -c 2000 "$work/out")"; }
says_not() { ! grep -qF -- "$1" "$work/out" || fail "did not expect «$1» in: $(head -c 2000 "$work/out")"; }
within() { # within SECONDS COMMAND...
  local seconds=$1
  shift
  wait_for "$seconds" "$@" || fail "not within $seconds s: $*; now: $("$@" 2>&1 | tail -n 5)"
}

# --------------------------------------------------------------------------------------------------- questions

field() { "$k" get "$1" "$2" -o "jsonpath=$3" 2>/dev/null; } # field KIND NAME PATH, in the present namespace
phase_is() { [ "$(field pod "$1" '{.status.phase}')" = "$2" ]; }
pod_ready() { [ "$(field pod "$1" '{.status.conditions[?(@.type=="Ready")].status}')" = True ]; }
ready_replicas() { [ "$(field deployment "$1" '{.status.readyReplicas}')" = "$2" ]; }
gone() { ! "$k" get "$@" >/dev/null 2>&1; }
pods_of() { "$k" get pods -l "app=$1" -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' 2>/dev/null; }
pod_count() { [ "$(pods_of "$1" | grep -c .)" = "$2" ]; }
answers() { curl -s --max-time 2 "$1" | grep -qi "${2:-nginx}"; }
api() { # api PATH [CURL-ARGUMENTS]: as the administrator
  local path=$1
  shift
  client_files
  curl -s --max-time 20 --cacert "$work/ca.pem" --cert "$work/client.pem" --key "$work/client.key" \
    "https://127.0.0.1:$port$path" "$@"
}
client_files() {
  [ ! -s "$work/client.key" ] || return 0
  local name
  for name in certificate-authority-data:ca.pem client-certificate-data:client.pem client-key-data:client.key; do
    sed -nE "s/^ *${name%%:*}: *//p" "$KUBECONFIG" | head -n 1 | base64 -d >"$work/${name##*:}"
  done
}

# --------------------------------------------------------------------------------------------------- one test

# A test whose name begins with test_each_ runs once with every client; in it $k is the client.
run_test() {
  local name=$1 client clients
  if [ ${#chosen[@]} -gt 0 ]; then
    local file
    file=$(basename "$(grep -lE "^$name\(\)" "$root"/tests/cluster/cases/*.sh)" .sh)
    [[ " ${chosen[*]} " == *" $file "* || " ${chosen[*]} " == *" $name "* ]] || return 0
  fi
  clients=${kubectls%% *}
  case $name in test_each_*) clients=$kubectls ;; esac
  for client in $clients; do
    local label="$name ($(basename "$client"))" began output
    began=$(date +%s%N)
    if output=$(k=$client; set -f; "$name" 2>&1); then
      passed=$((passed + 1))
      echo "ok $label $((($(date +%s%N) - began) / 1000000)) ms"
      [ -z "$output" ] || printf '%s\n' "$output"
    else
      failed=$((failed + 1))
      failures+=("$label")
      echo "FAILED $label"
      printf '%s\n' "$output"
    fi
    "${kubectls%% *}" delete deploy,sts,ds,cronjob,job,rc,pod --all --now --wait=true --timeout=60s >/dev/null 2>&1
    "${kubectls%% *}" delete service --field-selector metadata.name!=kubernetes >/dev/null 2>&1
    "${kubectls%% *}" delete configmap,secret --field-selector metadata.name!=kube-root-ca.crt >/dev/null 2>&1
  done
}
