# A pod's life: probes, hooks, sidecars, crashes, deadlines, as users see them.

restarts_are() { [ "$(field pod "$1" '{.status.containerStatuses[0].restartCount}')" = "$2" ]; }
not_ready() { [ "$(field pod "$1" '{.status.conditions[?(@.type=="Ready")].status}')" = False ]; }
waits_for() { [ "$(field pod "$1" '{.status.containerStatuses[0].state.waiting.reason}')" = "$2" ]; }
event_says() { # event_says POD TEXT
  "$k" get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' |
    grep -qF -- "$2"
}

test_life_readiness_http() {
  cat >"$work/web.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: nginx
    image: nginx
    ports: [{name: http, containerPort: 80}]
    readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
END
  must "$k" apply -f "$work/web.yaml"
  within 20 event_says web "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404"
  must not_ready web
  must "$k" get pod web
  says "0/1     Running"
  must "$k" exec web -- /bin/bash -c 'touch "$(sed -nE "s/^ *root +([^;]+);/\1/p" /etc/nginx/conf.d/*.conf | head -n 1)/ready"'
  within 5 pod_ready web
  must "$k" exec web -- /bin/bash -c 'rm "$(sed -nE "s/^ *root +([^;]+);/\1/p" /etc/nginx/conf.d/*.conf | head -n 1)/ready"'
  within 5 not_ready web
  must restarts_are web 0
  must "$k" delete pod web --now
}

test_each_life_liveness_restarts() {
  cat >"$work/alive.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: alive}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    command: [sh, -c, 'touch /tmp/alive; exec sleep 3600']
    startupProbe: {exec: {command: [test, -f, /tmp/alive]}, periodSeconds: 1, failureThreshold: 30}
    livenessProbe: {exec: {command: [test, -f, /tmp/alive]}, periodSeconds: 1, failureThreshold: 2}
END
  must "$k" apply -f "$work/alive.yaml"
  within 20 pod_ready alive
  must "$k" exec alive -- rm /tmp/alive
  within 20 restarts_are alive 1
  within 20 pod_ready alive
  must "$k" describe pod alive
  says "Liveness probe failed"
  says "Container c failed liveness probe, will be restarted"
  must "$k" delete pod alive --now
}

test_life_hooks() {
  mkdir -p "$work/hooks"
  rm -f "$work/hooks"/*
  cat >"$work/hooked.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: hooked}
spec:
  terminationGracePeriodSeconds: 20
  volumes: [{name: notes, hostPath: {path: $work/hooks}}]
  containers:
  - name: c
    image: busybox
    command: [sh, -c, 'trap "echo term >>/notes/log; exit" TERM; while :; do sleep 0.1; done']
    volumeMounts: [{name: notes, mountPath: /notes}]
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'sleep 1; echo started >>/notes/log']}}
      preStop: {exec: {command: [sh, -c, 'sleep 0.5; echo stopping >>/notes/log']}}
END
  must "$k" apply -f "$work/hooked.yaml"
  within 20 pod_ready hooked
  must grep -qx started "$work/hooks/log"
  must "$k" delete pod hooked
  [ "$(tr '\n' ' ' <"$work/hooks/log")" = "started stopping term " ] || fail "the order was: $(cat "$work/hooks/log")"
  cat >"$work/bad-hook.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: bad-hook}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    command: [sleep, "3600"]
    lifecycle: {postStart: {exec: {command: ["false"]}}}
END
  must "$k" apply -f "$work/bad-hook.yaml"
  within 20 event_says bad-hook "FailedPostStartHook: PostStartHook failed"
  within 20 waits_for bad-hook CrashLoopBackOff
  must "$k" delete pod bad-hook --now
}

test_life_sidecar_order() {
  mkdir -p "$work/order"
  rm -f "$work/order"/*
  cat >"$work/order.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: order}
spec:
  terminationGracePeriodSeconds: 20
  volumes: [{name: notes, hostPath: {path: $work/order}}]
  initContainers:
  - name: first
    image: busybox
    command: [sh, -c, 'echo first >>/notes/log']
    volumeMounts: [{name: notes, mountPath: /notes}]
  - name: helper
    image: busybox
    restartPolicy: Always
    command: [sh, -c, 'trap "echo helper-ends >>/notes/log; exit" TERM; sleep 1; echo helper >>/notes/log; touch /up; while :; do sleep 0.1; done']
    startupProbe: {exec: {command: [test, -f, /up]}, periodSeconds: 1, failureThreshold: 30}
    volumeMounts: [{name: notes, mountPath: /notes}]
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'trap "sleep 0.5; echo main-ends >>/notes/log; exit" TERM; echo main >>/notes/log; while :; do sleep 0.1; done']
    volumeMounts: [{name: notes, mountPath: /notes}]
END
  must "$k" apply -f "$work/order.yaml"
  within 30 pod_ready order
  within 5 grep -qx main "$work/order/log"
  must "$k" get pod order
  says "2/2     Running"
  must "$k" delete pod order
  [ "$(tr '\n' ' ' <"$work/order/log")" = "first helper main main-ends helper-ends " ] ||
    fail "the order was: $(cat "$work/order/log")"
}

test_each_life_crash_loop() {
  must "$k" run crasher --image=busybox --command -- sh -c 'exit 3'
  within 20 waits_for crasher CrashLoopBackOff
  must "$k" get pod crasher
  says CrashLoopBackOff
  must "$k" describe pod crasher
  says "Back-off restarting failed container crasher in pod crasher_default("
  says "Exit Code:    3"
  must "$k" delete pod crasher --now
}

test_life_missing_config_mends_itself() {
  cat >"$work/needy.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: needy}
spec:
  containers:
  - name: c
    image: busybox
    command: [sleep, "3600"]
    envFrom: [{configMapRef: {name: settings}}]
END
  must "$k" apply -f "$work/needy.yaml"
  within 20 waits_for needy CreateContainerConfigError
  must "$k" get pod needy
  says CreateContainerConfigError
  must "$k" create configmap settings --from-literal=a=b
  within 3 pod_ready needy
  must "$k" exec needy -- sh -c 'echo a=$a'
  says "a=b"
  must "$k" delete pod needy --now
  must "$k" delete configmap settings
}

test_life_deadline_and_shorter_grace() {
  cat >"$work/short.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  activeDeadlineSeconds: 3
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  containers: [{name: c, image: busybox, command: [sh, -c, 'trap "" TERM; while :; do sleep 0.1; done']}]
END
  must "$k" apply -f "$work/short.yaml"
  within 20 pod_ready stubborn
  must "$k" delete pod stubborn --grace-period=60 --wait=false
  sleep 1
  must "$k" get pod stubborn
  says Terminating
  must "$k" delete pod stubborn --grace-period=1 --wait=false
  within 6 gone pod stubborn
  within 15 phase_is limited Failed
  must "$k" get pod limited -o 'jsonpath={.status.reason}: {.status.message}'
  says "DeadlineExceeded: Pod was active on the node longer than the specified deadline"
  must "$k" delete pod limited
}
