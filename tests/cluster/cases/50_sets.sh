# StatefulSets and DaemonSets: names that stay, order, partitions, and kubectl's rollout words, which work from ControllerRevisions.

sets_manifest() { # sets_manifest KIND NAME: with nginx, quick to end
  cat <<END_OF_MANIFEST
apiVersion: apps/v1
kind: $1
metadata: {name: $2, annotations: {kubernetes.io/change-cause: first}}
spec:
  selector: {matchLabels: {app: $2}}
  template:
    metadata: {labels: {app: $2}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: nginx, image: nginx}]
END_OF_MANIFEST
}
set_ready() { [ "$(field statefulset "$1" '{.status.readyReplicas}')" = "$2" ]; }
daemon_ready() { [ "$(field daemonset "$1" '{.status.numberAvailable}')" = "$2" ]; }
image_is() { [ "$(field pod "$1" '{.spec.containers[0].image}')" = "$2" ]; }
other_pod() { # other_pod NAME UID: it is there, and another one than that
  local uid
  uid=$(field pod "$1" '{.metadata.uid}')
  [ -n "$uid" ] && [ "$uid" != "$2" ]
}
daemon_image() { [ "$("$k" get pods -l "app=$1" -o 'jsonpath={.items[*].spec.containers[0].image}')" = "$2" ]; }

test_each_stateful_set_keeps_names_and_order() {
  { sets_manifest StatefulSet web; echo '  replicas: 3'; echo '  serviceName: web'; } >"$work/web.yaml"
  must "$k" apply -f "$work/web.yaml"
  within 60 set_ready web 3
  must "$k" get pods -l app=web -o 'jsonpath={.items[*].metadata.name}'
  says "web-0 web-1 web-2"
  must "$k" get events -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}'
  says "create Pod web-2 in StatefulSet web successful"
  local began_0 began_1
  began_0=$(date -d "$(field pod web-0 '{.status.conditions[?(@.type=="Ready")].lastTransitionTime}')" +%s)
  began_1=$(date -d "$(field pod web-1 '{.metadata.creationTimestamp}')" +%s)
  [ "$began_1" -ge "$began_0" ] || fail "web-1 was made before web-0 was ready"
  [ "$(field pod web-1 '{.spec.hostname}')" = web-1 ] || fail "no host name"
  must "$k" exec web-1 -- hostname
  says web-1

  local uid
  uid=$(field pod web-1 '{.metadata.uid}')
  must "$k" delete pod web-1
  within 30 other_pod web-1 "$uid"
  within 30 set_ready web 3
  must "$k" scale --replicas=1 statefulset/web
  within 30 pod_count web 1
  must "$k" get pod web-0
  must "$k" delete statefulset web
  within 30 pod_count web 0
}

test_each_stateful_set_rolls_and_goes_back() {
  { sets_manifest StatefulSet web; echo '  replicas: 3'; echo '  serviceName: web'
    echo '  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}'; } >"$work/web.yaml"
  must "$k" apply -f "$work/web.yaml"
  must timeout 60 "$k" rollout status statefulset/web
  must "$k" set image statefulset/web nginx=nginx:1.16.1
  within 30 image_is web-2 nginx:1.16.1
  must timeout 60 "$k" rollout status statefulset/web
  says "partitioned roll out complete: 1 new pods have been updated..."
  image_is web-0 nginx || fail "web-0 is before the partition"
  must "$k" patch statefulset web -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
  within 60 image_is web-0 nginx:1.16.1
  must timeout 60 "$k" rollout status statefulset/web
  must "$k" rollout history statefulset/web
  says REVISION
  must "$k" rollout history statefulset/web --revision=2
  says "nginx:1.16.1"
  must "$k" rollout undo statefulset/web --to-revision=2
  says "skipped rollback (current template already matches revision 2)"
  must "$k" rollout undo statefulset/web
  says "rolled back"
  within 60 image_is web-0 nginx
  must timeout 60 "$k" rollout status statefulset/web
  must "$k" get controllerrevisions -l app=web -o 'jsonpath={.items[*].revision}'
  says 3
  must "$k" delete statefulset web
  within 30 pod_count web 0
}

test_each_daemon_set_is_on_the_node() {
  sets_manifest DaemonSet agent >"$work/agent.yaml"
  must "$k" apply -f "$work/agent.yaml"
  within 60 daemon_ready agent 1
  must timeout 60 "$k" rollout status daemonset/agent
  says 'daemon set "agent" successfully rolled out'
  must "$k" get daemonset agent --no-headers
  grep -qE '^agent +1 +1 +1 +1 +1 ' "$work/out" || fail "counts: $(cat "$work/out")"
  [ "$(field pod "$(pods_of agent)" '{.spec.nodeName}')" = test-node ] || fail "not on the node"
  must "$k" set image daemonset/agent nginx=nginx:1.16.1
  within 30 daemon_image agent nginx:1.16.1
  must timeout 60 "$k" rollout status daemonset/agent
  must "$k" rollout history daemonset/agent
  says first
  must "$k" rollout undo daemonset/agent
  says "rolled back"
  within 30 daemon_image agent nginx
  must timeout 60 "$k" rollout status daemonset/agent
  local before
  before=$(pods_of agent)
  must "$k" rollout restart daemonset/agent
  within 30 gone pod "$before"
  must timeout 60 "$k" rollout status daemonset/agent
  must "${kubectls%% *}" taint node test-node special=yes:NoExecute
  within 30 pod_count agent 0
  must "${kubectls%% *}" taint node test-node special-
  within 30 daemon_ready agent 1
  must "$k" delete daemonset agent
  within 30 pod_count agent 0
}
