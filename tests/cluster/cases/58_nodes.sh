# A node under pressure, its agent killed, a pod's network taken away, debugging, and what a pod may ask of the API.

node_condition() { [ "$(field node test-node "{.status.conditions[?(@.type==\"$1\")].status}")" = "$2" ]; }
node_tainted() { "$k" get node test-node -o 'jsonpath={.spec.taints[*].key}' 2>/dev/null | grep -qF "node.kubernetes.io/$1"; }
node_untainted() { ! node_tainted "$1"; }
evicted() { [ "$(field pod "$1" '{.status.phase} {.status.reason}')" = "Failed Evicted" ]; }
node_event() { "$k" get events -A --field-selector "reason=$1" -o 'jsonpath={.items[*].message}' 2>/dev/null | grep -qF -- "$2"; }

# agent_with LINES: the daemon anew, its node-agent with these lines of configuration; as before when the test is over.
agent_with() {
  [ -f "$work/orlop.yaml.usual" ] || cp "$work/orlop.yaml" "$work/orlop.yaml.usual"
  trap agent_as_usual EXIT
  sed "s/config: {container_log_size_max: 100Ki/&, $1/" "$work/orlop.yaml.usual" \
    >"$work/orlop.yaml"
  grep -qF -- "$1" "$work/orlop.yaml" || fail "the configuration has no node-agent"
  daemon_again
}
agent_as_usual() {
  [ -f "$work/orlop.yaml.usual" ] || return 0
  mv "$work/orlop.yaml.usual" "$work/orlop.yaml"
  trap - EXIT
  daemon_again
}
daemon_again() {
  daemon_kill TERM
  within 15 daemon_gone
  daemon_start
  within 30 ready
}
burstable_pod() { # burstable_pod NAME REQUEST COMMAND
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: c
    image: busybox\n    resources: {requests: {memory: %s}}\n    command: [sh, -c, "%s"]
    volumeMounts: [{name: m, mountPath: /m}]\n  volumes: [{name: m, emptyDir: {medium: Memory}}]\n' "$1" "$2" "$3" |
    "$k" apply -f - >"$work/out" 2>&1 || fail "pod $1: $(cat "$work/out")"
}
evicted_at() { date -d "$("$k" get events --field-selector "reason=Evicted,involvedObject.name=$1" -o 'jsonpath={.items[0].firstTimestamp}')" +%s; }

test_memory_pressure() {
  burstable_pod modest 64Mi 'sleep 1000'
  burstable_pod hog 4Mi 'dd if=/dev/zero of=/m/file bs=1M count=48; sleep 1000'
  within 20 pod_ready modest
  within 20 pod_ready hog
  # Always short, whatever the machine has: those that use most beyond their request go first.
  agent_with 'eviction_soft: ["memory.available<100%"], eviction_soft_grace: ["memory.available=3s"], eviction_transition_seconds: 2'
  within 20 node_condition MemoryPressure True
  within 20 node_tainted memory-pressure
  within 30 evicted hog
  must "$k" get pod hog -o 'jsonpath={.status.message}'
  says 'The node was low on resource: memory. Threshold quantity: '
  says 'Container c was using '
  says ', request is 4Mi, has larger consumption of memory. '
  must "$k" describe pod hog
  grep -qE '^Reason: +Evicted' "$work/out" || fail "no reason: $(head -n 20 "$work/out")"
  within 30 evicted modest
  [ "$(evicted_at hog)" -le "$(evicted_at modest)" ] || fail "the one within its request went first"
  must "$k" describe node test-node
  says 'KubeletHasInsufficientMemory'
  within 10 node_event EvictionThresholdMet 'Attempting to reclaim memory'
  # What asks for nothing is not let in: by the scheduler, and by the agent where somebody goes past the scheduler.
  must "$k" run waits --image=busybox --restart=Never -- sleep 1000
  must "$k" run forced --image=busybox --restart=Never --overrides='{"spec":{"nodeName":"test-node"}}' -- sleep 1000
  within 10 evicted forced
  must "$k" get pod forced -o 'jsonpath={.status.message}'
  says 'The node had condition: [MemoryPressure]. '
  within 10 described pod waits 'untolerated taint {node.kubernetes.io/memory-pressure: }'
  agent_as_usual
  within 20 node_condition MemoryPressure False
  within 20 node_untainted memory-pressure
  within 30 pod_ready waits
  must "$k" describe node test-node
  says 'KubeletHasSufficientMemory'
}

test_disk_pressure() {
  burstable_pod writer 4Mi 'dd if=/dev/zero of=/file bs=1M count=32; sleep 1000'
  within 20 pod_ready writer
  must "$k" run user --image=nginx --restart=Never
  within 20 pod_ready user
  must "$k" delete pod user --now
  # Unused images go first; that frees too little here.
  agent_with 'eviction_soft: ["nodefs.available<100%"], eviction_soft_grace: ["nodefs.available=3s"], eviction_transition_seconds: 2'
  within 20 node_condition DiskPressure True
  within 20 node_tainted disk-pressure
  within 60 evicted writer
  must "$k" get pod writer -o 'jsonpath={.status.message}'
  says 'The node was low on resource: ephemeral-storage. Threshold quantity: '
  says 'Container c was using '
  says ', request is 0, has larger consumption of ephemeral-storage. '
  within 20 image_gone nginx
  must "$k" run forced --image=busybox --restart=Never --overrides='{"spec":{"nodeName":"test-node"}}' -- sleep 1000
  within 10 evicted forced
  must "$k" get pod forced -o 'jsonpath={.status.message}'
  says 'The node had condition: [DiskPressure]. '
  agent_as_usual
  within 20 node_condition DiskPressure False
  within 20 node_untainted disk-pressure
}
image_gone() { ! "$k" get node test-node -o 'jsonpath={.status.images[*].names}' | grep -q "/$1:"; }

test_unused_images_go() {
  must "$k" run user --image=nginx --restart=Never
  within 20 pod_ready user
  must "$k" run keeper --image=busybox --restart=Never -- sleep 1000
  within 20 pod_ready keeper
  must "$k" delete pod user --now
  agent_with 'image_gc_high_percent: 1, image_gc_low_percent: 0, image_gc_min_age_seconds: 0'
  within 30 only_used_images
  must "$k" get pod keeper
  says Running
}

only_used_images() { image_gone nginx && node_knows busybox; }

agent_pid() { pgrep -f "orlop-host.*node-agent" | while read -r pid; do
  grep -qz "$work" "/proc/$pid/cmdline" && echo "$pid"; done | head -n 1; }
agent_other_than() { local pid; pid=$(agent_pid); [ -n "$pid" ] && [ "$pid" != "$1" ]; }
container_of() { field pod "$1" '{.status.containerStatuses[0].containerID}'; }

test_static_pods_over_a_killed_agent() {
  mkdir -p "$work/etc/manifests"
  static_pod 3000 >"$work/etc/manifests/keel.yaml"
  within 20 pod_ready keel-test-node
  local id uid pid
  id=$(container_of keel-test-node)
  uid=$(field pod keel-test-node '{.metadata.uid}')
  for _ in 1 2; do
    pid=$(agent_pid)
    must kill -9 "$pid"
    within 10 agent_other_than "$pid"
  done
  within 10 plugin_runs node-agent
  # A round trip that the agent has to take part in: it has seen the folder by then.
  must "$k" run after --image=busybox --restart=Never -- sleep 1000
  within 20 pod_ready after
  [ "$(container_of keel-test-node)" = "$id" ] || fail "its container was restarted"
  [ "$(field pod keel-test-node '{.metadata.uid}')" = "$uid" ] || fail "its mirror is another"
  [ "$(field pod keel-test-node '{.status.containerStatuses[0].restartCount}')" = 0 ] || fail "a restart was counted"
  must "$k" exec keel-test-node -- true
  # Edited and removed while no agent looks.
  pid=$(agent_pid)
  must kill -STOP "$pid"
  static_pod 4000 >"$work/etc/manifests/keel.yaml"
  must kill -9 "$pid"
  within 20 container_says keel-test-node 'laid 4000'
  [ "$(container_of keel-test-node)" != "$id" ] || fail "the edited file has no new container"
  pid=$(agent_pid)
  must kill -STOP "$pid"
  rm "$work/etc/manifests/keel.yaml"
  must kill -9 "$pid"
  within 20 gone pod keel-test-node
}

test_network_taken_away() {
  must "$k" run adrift --image=busybox --restart=Always -- sleep 100077
  within 20 pod_ready adrift
  local id pid inode there file
  id=$(container_of adrift)
  pid=$(pgrep -f '^sleep 100077$' | head -n 1)
  inode=$(stat -Lc %i "/proc/$pid/ns/net") || fail "no process of the container"
  there=$work/run/plugins/runtime-containerd/ns/mnt
  file=$(nsenter --mount="$there" findmnt -rno TARGET,SOURCE -t nsfs | grep -F "net:[$inode]" | cut -d ' ' -f 1 | head -n 1)
  [ -n "$file" ] || fail "no file of the namespace $inode: $(nsenter --mount="$there" findmnt -rno TARGET,SOURCE -t nsfs)"
  must nsenter --mount="$there" umount "$file"
  must nsenter --mount="$there" rm "$file"
  # What makes the agent look at the pod, as any change does.
  must "$k" label pod adrift storm=yes
  within 30 event_says adrift 'SandboxChanged: Pod sandbox changed, it will be killed and re-created.'
  within 30 other_container adrift "$id"
  within 30 pod_ready adrift
  must "$k" exec adrift -- ip route
  says default
  [ "$(field pod adrift '{.status.podIP}')" = "$("$k" exec adrift -- hostname -i)" ] || fail "the address is not told"
}
other_container() { local id; id=$(container_of "$1"); [ -n "$id" ] && [ "$id" != "$2" ]; }

test_debug_with_a_terminal() {
  must "$k" run hull --image=nginx
  within 20 pod_ready hull
  must at_terminal '# ' 'tty; tr "\0" " " </proc/1/cmdline; echo done-$((40+2))' exit -- \
    "$k" debug -it hull --image=busybox --target=hull -c pump
  says /dev/
  says nginx
  says done-42
  within 10 pump_ended
  must at_terminal '# ' 'chroot /host hostname; echo done-$((50+2))' exit -- \
    "$k" debug node/test-node -it --image=busybox
  says 'Creating debugging pod node-debugger-test-node-'
  says done-52
  says "$(hostname)"
  within 10 node_debugger_ended
}

at_terminal() { "$root/tests/cluster/terminal" 40 "$@"; } # at_terminal PROMPT LINE... -- COMMAND...
node_debugger_ended() {
  "$k" get pods -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.hostNetwork} {.spec.hostPID} {.status.phase}{"\n"}{end}' |
    grep -qE '^node-debugger-test-node-[a-z0-9]+ true true Succeeded'
}
pump_ended() { [ "$(field pod hull '{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}')" = 0 ]; }

# The tutorial's ConfigMap chapter ends at a prompt of redis-cli on a terminal.
test_each_redis_on_a_terminal() {
  printf 'maxmemory 2mb\nmaxmemory-policy allkeys-lru\n' >"$work/redis.conf"
  must "$k" create cm redis-conf --from-file="abc=$work/redis.conf"
  pod_of redis '{terminationGracePeriodSeconds: 0, volumes: [{name: config, configMap: {name: redis-conf, items: [{key: abc, path: redis.conf}]}}],
    containers: [{name: redis, image: redis, command: [redis-server, /redis-master/redis.conf], ports: [{containerPort: 6379}],
    volumeMounts: [{name: config, mountPath: /redis-master}]}]}'
  within 30 pod_ready redis
  within 10 answers_ping
  must at_terminal '6379> ' 'CONFIG GET maxmemory' 'CONFIG GET maxmemory-policy' quit -- "$k" exec -it redis -- redis-cli
  says '127.0.0.1:6379>'
  says '"2097152"'
  says '"allkeys-lru"'
}
answers_ping() { "$k" exec redis -- redis-cli ping | grep -q PONG; }

test_service_account_token() {
  pod_of caller '{terminationGracePeriodSeconds: 0, volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token,
    expirationSeconds: 600, audience: vault}}]}}], containers: [{name: c, image: nginx, volumeMounts: [{name: t, mountPath: /t}]}]}'
  within 20 pod_ready caller
  local at=/var/run/secrets/kubernetes.io/serviceaccount
  must "$k" exec caller -- sh -c "ls $at && cat $at/namespace"
  says ca.crt
  says default
  # From inside, by the address that the pod is told.
  must "$k" exec caller -- sh -c "curl -sS --max-time 10 --cacert $at/ca.crt -H \"Authorization: Bearer \$(cat $at/token)\" \
    https://\$KUBERNETES_SERVICE_HOST:\$KUBERNETES_SERVICE_PORT/api/v1/namespaces/default/pods"
  says 'pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\"'
  must "$k" create rolebinding looks --clusterrole=view --serviceaccount=default:default
  within 10 lists_from_inside
  must "$k" delete rolebinding looks
  review token_of caller "$at/token" '' >"$work/out"
  says '"authenticated":true'
  says '"username":"system:serviceaccount:default:default"'
  says "$(field pod caller '{.metadata.uid}')"
  # A token for somebody else is none for the API, and good for whom it names.
  review token_of caller /t/token '' >"$work/out"
  says_not '"authenticated":true'
  review token_of caller /t/token '"vault"' >"$work/out"
  says '"authenticated":true'
  [ "$(lifetime_of caller /t/token)" = 600 ] || fail "it lasts $(lifetime_of caller /t/token) s"
  # Gone with the pod that it was for.
  local token
  token=$(token_of caller "$at/token")
  must "$k" delete pod caller --now
  within 10 refused_token "$token"
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: brief}\nspec: {containers: [{name: c, image: busybox}], volumes: [{name: t, projected:
    {sources: [{serviceAccountToken: {path: token, expirationSeconds: 599}}]}}]}\n' >"$work/brief.yaml"
  must_fail "$k" apply -f "$work/brief.yaml"
  says 'may not specify a duration less than 10 minutes'
}
lists_from_inside() {
  "$k" exec caller -- sh -c 'at=/var/run/secrets/kubernetes.io/serviceaccount; curl -s --cacert $at/ca.crt \
    -H "Authorization: Bearer $(cat $at/token)" "https://kubernetes.default.svc:443/api/v1/namespaces/default/pods" \
    --connect-to "::$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"' | grep -q '"kind": *"PodList"'
}
token_of() { "$k" exec "$1" -- cat "$2"; }
review() { # review COMMAND... AUDIENCES: what the API says of the token that the command gives
  local audiences=${*: -1}
  api /apis/authentication.k8s.io/v1/tokenreviews -H 'Content-Type: application/json' -d \
    "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":\"$("${@:1:$#-1}")\",\"audiences\":[$audiences]}}"
}
lifetime_of() {
  token_of "$1" "$2" | cut -d . -f 2 | python3 -c 'import base64, json, sys
claims = json.loads(base64.urlsafe_b64decode(sys.stdin.read().strip() + "=="))
print(claims["exp"] - claims["iat"])'
}
refused_token() { ! review echo "$1" '' | grep -q '"authenticated":true'; }

test_https_probe() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=web -days 1 -keyout "$work/web.key" -out "$work/web.crt" 2>/dev/null
  must "$k" create secret tls web-tls --cert="$work/web.crt" --key="$work/web.key"
  cat >"$work/tls.conf" <<'END'
server {
  listen 443 ssl;
  ssl_certificate /tls/tls.crt;
  ssl_certificate_key /tls/tls.key;
  location = /healthz { return 200 "fine"; }
  location = /sick { return 503 "not fine"; }
}
END
  must "$k" create configmap web-conf --from-file="tls.conf=$work/tls.conf"
  local name path
  for name in well sick; do
    path=/healthz
    [ $name = well ] || path=/sick
    pod_of $name "{terminationGracePeriodSeconds: 0, volumes: [{name: tls, secret: {secretName: web-tls}}, {name: conf, configMap: {name: web-conf}}],
      containers: [{name: c, image: nginx, volumeMounts: [{name: tls, mountPath: /tls}, {name: conf, mountPath: /etc/nginx/conf.d/tls.conf, subPath: tls.conf}],
      readinessProbe: {httpGet: {path: $path, port: 443, scheme: HTTPS}, periodSeconds: 1}}]}"
  done
  within 20 pod_ready well
  within 20 event_says sick 'Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503'
  ! pod_ready sick || fail "a pod that answers 503 is ready"
}

test_each_exec_sees_the_end_of_its_input() {
  must "$k" run pipe --image=busybox --restart=Never -- sleep 1000
  within 20 pod_ready pipe
  head -c 3000000 /dev/urandom >"$work/cargo"
  must timeout 20 "$k" exec -i pipe -- sha256sum <"$work/cargo"
  says "$(sha256sum <"$work/cargo" | cut -d ' ' -f 1)"
  must timeout 20 "$k" exec -i pipe -- wc -c </dev/null
  says 0
  must timeout 20 "$k" exec pipe -- cat /bin/busybox
  timeout 20 "$k" exec -i pipe -- sh -c 'cat; echo aside >&2; exit 7' <<<ahoy >"$work/out" 2>"$work/err"
  [ $? = 7 ] || fail "its exit code is lost"
  [ "$(cat "$work/out")" = ahoy ] || fail "its output: $(cat "$work/out")"
  grep -qx aside "$work/err" || fail "its errors: $(cat "$work/err")"
}

# A real server, run from the machine's own files.
test_grpc_probe() {
  [ -x "$build/bin/orlop_grpc_health" ] || fail "orlop_grpc_health was not built: apt-get install libgrpc++-dev"
  local name
  for name in well sick unknown; do
    pod_of "$name" "{terminationGracePeriodSeconds: 0, volumes: [{name: host, hostPath: {path: /}}], containers: [{name: c, image: busybox,
      command: [chroot, /host, $build/bin/orlop_grpc_health, '5000'], volumeMounts: [{name: host, mountPath: /host}],
      readinessProbe: {grpc: {port: 5000, service: '${name/well/}'}, periodSeconds: 1}}]}"
  done
  wait_for 20 pod_ready well || fail "$("$k" logs well) $("$k" describe pod well | tail -n 12)"
  within 20 event_says sick 'Unhealthy: Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
  within 20 event_says unknown 'Unhealthy: Readiness probe failed: '
  ! pod_ready sick || fail "what is not serving is ready"
  ! pod_ready unknown || fail "a service that nobody knows is ready"
}
