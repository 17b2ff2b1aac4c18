# FEATURES O2, O3, O7: pods, as the tutorial types them.

test_each_o2_pod_by_command() {
  must "$k" run mynginx --image=nginx
  says "pod/mynginx created"
  within 20 pod_ready mynginx
  must "$k" get pod
  says "1/1     Running"
  must "$k" get pod -o wide
  ip=$(field pod mynginx '{.status.podIP}')
  says "$ip"
  says test-node
  within 5 answers "http://$ip:80"
  must "$k" describe pod mynginx
  says "Started container mynginx"
  must "$k" logs mynginx
  says "GET / HTTP/1.1"
  must "$k" exec mynginx -- /bin/bash -c 'echo from-$HOSTNAME'
  says "from-mynginx"
  must_fail "$k" exec mynginx -- /bin/bash -c 'exit 7'
  must "$k" delete pod mynginx
  says 'pod "mynginx" deleted'
  within 5 gone pod mynginx
}

test_each_o2_pod_by_yaml() {
  cat >"$work/pod.yaml" <<END
apiVersion: v1
kind: Pod
metadata:
  labels:
    run: mynginx
  name: mynginx
  namespace: default
spec:
  containers:
  - image: nginx
    name: mynginx
END
  must "$k" apply -f "$work/pod.yaml"
  says "pod/mynginx created"
  must "$k" apply -f "$work/pod.yaml"
  says "pod/mynginx unchanged"
  within 20 pod_ready mynginx
  must "$k" delete -f "$work/pod.yaml"
}

test_o2_logs_follow() {
  must "$k" run mynginx --image=nginx
  within 20 pod_ready mynginx
  ip=$(field pod mynginx '{.status.podIP}')
  timeout 20 "$k" logs -f mynginx >"$work/follow.log" 2>&1 &
  follower=$!
  within 10 answers "http://$ip:80"
  curl -s "http://$ip:80/one-more" >/dev/null
  within 10 grep -q one-more "$work/follow.log"
  kill $follower
}

test_o3_two_containers_share_the_network() {
  cat >"$work/multi.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: myapp, labels: {run: myapp}}
spec:
  volumes: [{name: shared, emptyDir: {}}]
  containers:
  - {name: nginx, image: nginx, volumeMounts: [{name: shared, mountPath: /shared}]}
  - {name: redis, image: redis, volumeMounts: [{name: shared, mountPath: /shared}]}
END
  must "$k" apply -f "$work/multi.yaml"
  within 30 pod_ready myapp
  must "$k" get pods
  says "2/2"
  must "$k" exec myapp -c nginx -- /bin/bash -c 'echo PING >/dev/tcp/127.0.0.1/6379 && echo hello >/shared/note'
  must "$k" exec myapp -c redis -- cat /shared/note
  says hello
}

test_each_o3_two_nginx_the_second_fails() {
  cat >"$work/multi.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: myapp02, labels: {run: myapp02}}
spec:
  containers:
  - {name: nginx01, image: nginx}
  - {name: nginx02, image: nginx}
END
  must "$k" apply -f "$work/multi.yaml"
  within 40 second_is_crashing
  must "$k" describe pod myapp02
  says "Back-off restarting failed container"
  must "$k" logs myapp02 -c nginx02
  says "Address already in use"
  must "$k" get pods
  says "1/2"
}
second_is_crashing() {
  "$k" describe pod myapp02 | grep -q "Back-off restarting failed container"
}

test_o7_a_crashed_container_is_restarted_in_place() {
  must "$k" run mynginx --image=nginx
  within 20 pod_ready mynginx
  uid=$(field pod mynginx '{.metadata.uid}')
  "$k" exec mynginx -- /bin/bash -c 'kill -9 1; kill -QUIT 1' >/dev/null 2>&1
  within 20 restarted_once
  within 20 pod_ready mynginx
  [ "$(field pod mynginx '{.metadata.uid}')" = "$uid" ] || fail "another pod"
  must "$k" logs mynginx --previous
}
restarted_once() { [ "$(field pod mynginx '{.status.containerStatuses[0].restartCount}')" = 1 ]; }
