# FEATURES O6 and B8: rollouts, their history and their way back; configuration that rolls out.

image_of() { field deployment "$1" '{.spec.template.spec.containers[0].image}'; }
revision_is() { [ "$(field deployment "$1" '{.metadata.annotations.deployment\.kubernetes\.io/revision}')" = "$2" ]; }
rolled_out() { "$k" rollout status "$1" --timeout=1s; }
web_service() { # web_service NAME LABEL=VALUE: port 8000 in front of the pods' port 80; prints its address
  "$k" apply -f - >"$work/out" 2>&1 <<END || fail "$(cat "$work/out")"
apiVersion: v1
kind: Service
metadata: {name: $1}
spec:
  selector: {${2%%=*}: ${2#*=}}
  ports: [{port: 8000, targetPort: 80}]
END
  field service "$1" '{.spec.clusterIP}'
}

# The tutorial's chapter, as typed.
test_each_o6_tutorial_rolls_forward_and_back() {
  must "$k" create deployment my-dep --image=nginx --replicas=3
  within 30 ready_replicas my-dep 3
  must "$k" get deployment my-dep -o yaml
  says "image: nginx"
  must "$k" set image deployment/my-dep nginx=nginx:1.16.1 --record
  says "deployment.apps/my-dep image updated"
  must timeout 60 "$k" rollout status deployment/my-dep
  says 'deployment "my-dep" successfully rolled out'
  must "$k" rollout history deployment/my-dep
  says "REVISION  CHANGE-CAUSE"
  says "set image deployment/my-dep nginx=nginx:1.16.1 --record"
  must "$k" rollout history deployment/my-dep --revision=2
  says "deployment.apps/my-dep with revision #2"
  says "nginx:1.16.1"
  must "$k" rollout undo deployment/my-dep
  says "deployment.apps/my-dep rolled back"
  must timeout 60 "$k" rollout status deployment/my-dep
  [ "$(image_of my-dep)" = nginx ] || fail "undo left $(image_of my-dep)"
  revision_is my-dep 3 || fail "not revision 3"
  must "$k" rollout undo deployment/my-dep --to-revision=2
  must timeout 60 "$k" rollout status deployment/my-dep
  [ "$(image_of my-dep)" = nginx:1.16.1 ] || fail "undo left $(image_of my-dep)"
  must_fail "$k" rollout undo deployment/my-dep --to-revision=2
  says "unable to find specified revision 2 in history"
  must "$k" rollout undo deployment/my-dep --to-revision=4
  says "skipped rollback (current template already matches revision 4)"
}

test_each_o6_pause_resume_and_restart() {
  must "$k" create deployment my-dep --image=nginx --replicas=2
  within 30 ready_replicas my-dep 2
  must "$k" rollout pause deployment/my-dep
  says "deployment.apps/my-dep paused"
  must "$k" set image deployment/my-dep nginx=nginx:1.16.1
  must_fail "$k" rollout restart deployment/my-dep
  says "can't restart paused deployment (run rollout resume first)"
  revision_is my-dep 1 || fail "a paused deployment rolled out"
  must "$k" rollout resume deployment/my-dep
  says "deployment.apps/my-dep resumed"
  must timeout 60 "$k" rollout status deployment/my-dep
  revision_is my-dep 2 || fail "not revision 2"
  must "$k" rollout restart deployment/my-dep
  says "deployment.apps/my-dep restarted"
  within 10 revision_is my-dep 3
  must timeout 60 "$k" rollout status deployment/my-dep
}

# rollout status fails then, so its output is read apart from its exit code.
exceeded() { grep -q 'exceeded its progress deadline' <<<"$("$k" rollout status deployment/my-dep --timeout=1s 2>&1)"; }

test_each_o6_an_image_that_does_not_exist_stops_the_rollout() {
  must "$k" create deployment my-dep --image=nginx --replicas=3
  must "$k" patch deployment my-dep -p '{"spec":{"progressDeadlineSeconds":5}}'
  within 30 ready_replicas my-dep 3
  ip=$(web_service my-dep app=my-dep)
  within 10 answers "http://$ip:8000"
  must "$k" set image deployment/my-dep nginx=nginx:none-such
  within 30 exceeded
  must_fail timeout 30 "$k" rollout status deployment/my-dep
  says 'error: deployment "my-dep" exceeded its progress deadline'
  must "$k" describe deployment my-dep
  says "ProgressDeadlineExceeded"
  says "3 desired | 1 updated | 4 total | 3 available | 1 unavailable"
  for _ in $(seq 20); do answers "http://$ip:8000" || fail "it no longer serves"; done
  must "$k" rollout undo deployment/my-dep
  must timeout 60 "$k" rollout status deployment/my-dep
  within 30 pod_count my-dep 3
  must "$k" describe deployment my-dep
  says "NewReplicaSetAvailable"
}

page_of() { # page_of DEPLOYMENT TEXT
  local pod
  for pod in $("$k" get pods -l "app=$1" -o 'jsonpath={.items[*].metadata.name}'); do
    must "$k" exec "$pod" -- /bin/bash -c "echo $2 >/usr/share/nginx/html/index.html"
  done
}

# A canary: two Deployments under one Service share its requests by their replicas.
test_each_o6_canary_by_two_deployments() {
  for track in stable:3 canary:1; do
    "$k" apply -f - >"$work/out" 2>&1 <<END || fail "$(cat "$work/out")"
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${track%:*}}
spec:
  replicas: ${track#*:}
  selector: {matchLabels: {app: ${track%:*}}}
  template:
    metadata: {labels: {app: ${track%:*}, shop: front}}
    spec:
      containers: [{name: nginx, image: nginx}]
END
  done
  within 30 ready_replicas stable 3
  within 30 ready_replicas canary 1
  page_of stable stable
  page_of canary canary
  ip=$(web_service front shop=front)
  within 10 answers "http://$ip:8000" stable
  within 10 answers "http://$ip:8000" canary
  canary=0
  for _ in $(seq 200); do
    case $(curl -s --max-time 2 "http://$ip:8000") in
      canary) canary=$((canary + 1)) ;;
      stable) ;;
      *) fail "neither answered" ;;
    esac
  done
  # A quarter of 200, four standard deviations to each side.
  [ $canary -ge 26 ] && [ $canary -le 74 ] || fail "$canary of 200 requests went to one pod of four"
}

# Three replicas under a constant stream of requests: the old pod may have to answer for a little after it was told to end.
test_o6_a_rolling_update_fails_no_request() {
  "$k" apply -f - >"$work/out" 2>&1 <<END || fail "$(cat "$work/out")"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: nginx
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sleep, "2"]}}}
END
  within 30 ready_replicas web 3
  ip=$(web_service web app=web)
  within 10 answers "http://$ip:8000"
  rm -f "$work/stop"
  for worker in 1 2; do
    (
      while [ ! -e "$work/stop" ]; do
        curl -s --max-time 5 -o /dev/null -w '%{http_code} %{errormsg}\n' "http://$ip:8000"
      done >"$work/requests.$worker"
    ) &
  done
  must "$k" set image deployment/web nginx=nginx:1.16.1
  must timeout 120 "$k" rollout status deployment/web
  within 30 pod_count web 3
  touch "$work/stop"
  wait
  sent=$(cat "$work/requests.1" "$work/requests.2" | wc -l)
  bad=$(cat "$work/requests.1" "$work/requests.2" | grep -vc '^200 ')
  [ "$sent" -gt 100 ] || fail "only $sent requests"
  [ "$bad" = 0 ] || fail "$bad of $sent requests failed: $(cat "$work/requests.1" "$work/requests.2" | grep -v '^200 ' | sort | uniq -c)"
}

# exec may pick a pod that is on its way out: asked again.
user_is() { [ "$("$k" exec deployment/web -- printenv USER_NAME 2>/dev/null)" = "$1" ]; }
page_is() { [ "$("$k" exec deployment/web -- cat /etc/web/page 2>/dev/null)" = "$1" ]; }

test_each_b8_a_changed_config_map_rolls_out_and_undo_brings_it_back() {
  must "$k" create configmap web --from-literal=page=one
  "$k" apply -f - >"$work/out" 2>&1 <<END || fail "$(cat "$work/out")"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {orlop.dev/restart-on-config-change: "true"}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: nginx
        envFrom: [{secretRef: {name: web-login, optional: true}}]
        volumeMounts: [{name: web, mountPath: /etc/web}]
      volumes: [{name: web, configMap: {name: web}}]
END
  within 30 ready_replicas web 2
  must "$k" get deployment web -o 'jsonpath={.spec.template.spec.volumes[0].configMap.name}'
  says web
  within 10 page_is one
  must "$k" patch configmap web -p '{"data":{"page":"two"}}'
  within 10 revision_is web 2
  must timeout 60 "$k" rollout status deployment/web
  within 20 page_is two
  must "$k" rollout history deployment/web --revision=2
  says "orlop.dev/config: configmaps/web=web-"
  must "$k" rollout undo deployment/web
  must timeout 60 "$k" rollout status deployment/web
  within 20 page_is one
  must "$k" get configmap web -o 'jsonpath={.data.page}'
  says two
  # A Secret that appears rolls out too, as a Secret of its own.
  must "$k" create secret generic web-login --from-literal=USER_NAME=anna
  within 10 revision_is web 4
  must timeout 60 "$k" rollout status deployment/web
  within 15 user_is anna
  must "$k" get secrets -l orlop.dev/config-snapshot=true -o 'jsonpath={.items[*].type}'
  says Opaque
  must "$k" delete deployment web
  must "$k" delete configmap web
  must "$k" delete secret web-login
  within 20 no_snapshots
}
no_snapshots() { [ -z "$("$k" get configmaps,secrets -l orlop.dev/config-snapshot=true -o name)" ]; }

daemon_image() { field daemonset agent '{.spec.template.spec.containers[0].image}'; }

test_each_o6_a_daemon_set_has_a_history_and_a_way_back() {
  "$k" apply -f - >"$work/out" 2>&1 <<END || fail "$(cat "$work/out")"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: nginx, image: nginx}]
END
  must timeout 60 "$k" rollout status daemonset/agent
  says 'daemon set "agent" successfully rolled out'
  must "$k" set image daemonset/agent nginx=nginx:1.16.1
  must timeout 60 "$k" rollout status daemonset/agent
  must "$k" rollout history daemonset/agent
  says "daemonset.apps/agent"
  must "$k" rollout history daemonset/agent --revision=2
  says "nginx:1.16.1"
  must "$k" rollout undo daemonset/agent
  says "daemonset.apps/agent rolled back"
  [ "$(daemon_image)" = nginx ] || fail "undo left $(daemon_image)"
  must timeout 60 "$k" rollout status daemonset/agent
  must "$k" rollout restart daemonset/agent
  says "daemonset.apps/agent restarted"
  must timeout 60 "$k" rollout status daemonset/agent
  must "$k" delete daemonset agent
  within 30 pod_count agent 0
}
