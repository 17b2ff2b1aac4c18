# Killed and nothing lost. FEATURES C5 (one machine).

container_starts() { # one line for each container: its id and when it was started
  "$k" get pods -l app=my-dep \
    -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort
}
plugin_host_pid() { pgrep -f "orlop-host.*$1" | while read -r pid; do
  grep -qz "$work" "/proc/$pid/cmdline" && echo "$pid"; done | head -n 1; }

test_killed_orlopd_loses_nothing() {
  must "$k" create deployment my-dep --image=nginx --replicas=2
  within 30 ready_replicas my-dep 2
  container_starts >"$work/before.starts"
  local round slowest=0 lost=0
  : >"$work/acknowledged"
  for round in $(seq "${ORLOP_TEST_KILLS:-20}"); do
    (
      for n in $(seq 200); do
        code=$(api /api/v1/namespaces/default/configmaps -H 'Content-Type: application/json' -o /dev/null -w '%{http_code}' \
          -d "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"k-$round-$n\",\"labels\":{\"killed\":\"1\"}}}" 2>/dev/null)
        [ "$code" = 201 ] || break
        echo "k-$round-$n" >>"$work/acknowledged"
      done
    ) &
    writer=$!
    sleep "0.$((RANDOM % 400 + 100))"
    daemon_kill 9
    wait $writer
    began=$(date +%s%N)
    daemon_start
    within 10 ready
    took=$((($(date +%s%N) - began) / 1000000))
    [ $took -le $slowest ] || slowest=$took
  done
  echo "    slowest return: $slowest ms"
  "$k" get configmaps -l killed=1 -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort >"$work/present"
  lost=$(sort "$work/acknowledged" | comm -23 - "$work/present" | grep -c .)
  [ "$lost" = 0 ] || fail "$lost acknowledged writes are lost of $(grep -c . "$work/acknowledged")"
  within 10 ready_replicas my-dep 2
  container_starts >"$work/after.starts"
  cmp -s "$work/before.starts" "$work/after.starts" || fail "containers restarted: $(diff "$work/before.starts" "$work/after.starts")"
  must api "/api/v1/namespaces/default/configmaps?labelSelector=killed%3D1" -X DELETE -f
}

isolated="runtime-containerd net-iptables storage-local node-agent dns"

hosts_back() { # each isolated plugin has a process that is not in the list of the killed
  local plugin pid
  for plugin in $isolated; do
    pid=$(plugin_host_pid $plugin)
    [ -n "$pid" ] && ! grep -qx "$pid" "$work/killed.pids" || return 1
  done
}

plugin_runs() { [ "$(field plugin "$1" '{.status.state}')" = Running ]; }

# Killed, crashed, and hung: each one is in a process that answers again, and the API answers all along.
test_killed_plugins_come_back() {
  must "$k" create deployment my-dep --image=nginx --replicas=2
  within 30 ready_replicas my-dep 2
  container_starts >"$work/before.starts"
  local plugin signal pid began slowest=0 took asked
  while api /api/v1/namespaces/default/pods -f -o /dev/null -w '%{http_code}\n'; do sleep 0.02; done >"$work/codes" 2>&1 &
  asked=$!
  for signal in 9 SEGV STOP; do
    for plugin in $isolated; do
      within 10 plugin_runs $plugin
      pid=$(plugin_host_pid $plugin)
      echo "$pid" >>"$work/killed.pids"
      began=$(date +%s%N)
      must kill -$signal "$pid"
      within 5 hosts_back
      within 5 plugin_runs $plugin
      took=$((($(date +%s%N) - began) / 1000000))
      echo "    $plugin after $signal: $took ms"
      [ $took -le $slowest ] || slowest=$took
    done
  done
  must kill -0 $asked
  kill $asked
  echo "    slowest return: $slowest ms; $(grep -c 200 "$work/codes") lists were answered meanwhile"
  ! grep -qv '^200$' "$work/codes" || fail "the API answered: $(grep -v '^200$' "$work/codes" | head -n 3)"
  must "$k" scale deployment my-dep --replicas=3
  within 30 ready_replicas my-dep 3
  must "$k" scale deployment my-dep --replicas=2
  within 30 pod_count my-dep 2
  [ "$(container_starts | comm -12 - "$work/before.starts" | grep -c .)" -ge 1 ] || fail "containers were restarted"
}

test_zz_power_cut() {
  must "$k" create deployment my-dep --image=nginx --replicas=3
  within 30 ready_replicas my-dep 3
  # Everything dies at once and what was on tmpfs is gone.
  "$root/tools/machine" clean --run "$work/run" --data "$work/data" --ties "$work" --snapshot "$work/before.json" --keep-data \
    >"$work/clean.log" 2>&1
  rm -rf "$work/run"
  "$root/tools/images/registry" start --offline --state "$work/registry" --images "$images" --hosts "$work/etc/certs.d" \
    >>"$work/registry.log" 2>&1
  daemon_start
  within 20 ready
  within 60 restarted_three
  within 60 ready_replicas my-dep 3
  ip=$(field pod "$(pods_of my-dep | head -n 1)" '{.status.podIP}')
  within 10 answers "http://$ip"
}
restarted_three() { [ "$("$k" get pods -l app=my-dep -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount}{"\n"}{end}' | grep -c '[1-9]')" = 3 ]; }
