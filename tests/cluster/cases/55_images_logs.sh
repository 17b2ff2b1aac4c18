# Images and who may have them, logs over rotation and restarts, last words, static pods, debugging, RuntimeClasses.

reason_is() { [[ "$2" == *"|$(field pod "$1" '{.status.containerStatuses[0].state.waiting.reason}')|"* ]]; }
container_says() { # container_says POD TEXT [LOGS-ARGUMENTS]
  local pod=$1 text=$2
  shift 2
  "$k" logs "$pod" "$@" 2>&1 | grep -qF -- "$text"
}
described() { "$k" describe "$1" "$2" | grep -qF -- "$3"; }
pod_of() { # pod_of NAME SPEC: a pod of this spec in YAML's flow style
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: %s\n' "$1" "$1" "$2" | "$k" apply -f - \
    >"$work/out" 2>&1 || fail "pod $1: $(cat "$work/out")"
}

test_images_that_cannot_be_had() {
  pod_of absent '{containers: [{name: c, image: "absent:1", imagePullPolicy: Never}]}'
  pod_of odd '{containers: [{name: c, image: "Busybox"}]}'
  pod_of locked '{containers: [{name: c, image: "private.example/library/busybox"}]}'
  within 10 reason_is absent '|ErrImageNeverPull|'
  must "$k" describe pod absent
  says 'Container image "absent:1" is not present with pull policy of Never'
  says 'Error: ErrImageNeverPull'
  within 10 reason_is odd '|InvalidImageName|'
  must "$k" describe pod odd
  says 'repository name (library/Busybox) must be lowercase'
  within 20 reason_is locked '|ErrImagePull|ImagePullBackOff|'
  must "$k" describe pod locked
  says 'Failed to pull image "private.example/library/busybox"'
  says '401 Unauthorized'
  must_fail "$k" logs locked
  says 'container "c" in pod "locked" is waiting to start'
  within 10 reason_is locked '|ImagePullBackOff|'
  within 10 described pod locked 'Back-off pulling image "private.example/library/busybox"'
}

test_pull_secrets() {
  must "$k" create secret docker-registry login --docker-server=private.example --docker-username=orlop --docker-password=barnacle
  must "$k" create secret docker-registry wrong --docker-server=private.example --docker-username=orlop --docker-password=limpet
  pod_of unlocked '{imagePullSecrets: [{name: login}, {name: not-there}], terminationGracePeriodSeconds: 0,
    containers: [{name: c, image: "private.example/library/busybox:1.36", command: [sleep, "1000"]}]}'
  within 20 pod_ready unlocked || fail "$("$k" describe pod unlocked | tail -n 12)"
  must "$k" describe pod unlocked
  says 'Unable to retrieve some image pull secrets (not-there)'
  says 'Successfully pulled image "private.example/library/busybox:1.36"'
  pod_of mistaken '{imagePullSecrets: [{name: wrong}], containers: [{name: c, image: "private.example/library/busybox:1.28"}]}'
  within 20 reason_is mistaken '|ErrImagePull|ImagePullBackOff|'
  # The same by the service account.
  must "$k" create serviceaccount sailor
  must "$k" patch serviceaccount sailor -p '{"imagePullSecrets":[{"name":"login"}]}'
  pod_of sailing '{serviceAccountName: sailor, terminationGracePeriodSeconds: 0,
    containers: [{name: c, image: "private.example/library/busybox:1.35", command: [sleep, "1000"]}]}'
  within 20 pod_ready sailing
  must "$k" delete secret login wrong
  must "$k" get node test-node -o 'jsonpath={.status.images[*].names}'
  within 20 node_knows busybox
}
node_knows() { "$k" get node test-node -o 'jsonpath={.status.images[*].names}' | grep -q "$1"; }

test_logs_over_rotation() {
  pod_of talker '{terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, command: [sh, -c,
    "i=0; while true; do i=$((i+1)); echo \"line $i of a long story that fills the disk\"; [ $i -lt 2500 ] || sleep 0.2; done"]}]}'
  within 20 pod_ready talker
  timeout 60 "$k" logs -f talker >"$work/follow.log" 2>&1 &
  follower=$!
  folder=$work/data/plugins/node-agent/logs/default_talker_$(field pod talker '{.metadata.uid}')/c
  [ -d "$folder" ] || folder=$(find "$work/data" -type d -path '*default_talker_*/c')
  within 25 rotated "$folder"
  lines=$(grep -c . "$work/follow.log")
  within 10 grows_beyond "$lines"
  kill $follower
  awk '{ if ($2 != NR) { print "line " NR " is: " $0; exit 1 } }' "$work/follow.log" >"$work/out" || fail "followed: $(cat "$work/out")"
  must "$k" logs talker
  awk '{ if ($2 != NR) { print "line " NR " is: " $0; exit 1 } }' "$work/out" >"$work/gap" || fail "read: $(cat "$work/gap")"
  must "$k" logs talker --tail=2400
  [ "$(grep -c . "$work/out")" = 2400 ] || fail "a tail of $(grep -c . "$work/out") lines"
  must "$k" logs talker --limit-bytes=10
  [ "$(cat "$work/out")" = "line 1 of " ] || fail "ten bytes: $(cat "$work/out")"
  must "$k" logs talker --tail=1 --timestamps
  grep -qE '^20[0-9-]+T[0-9:.]+Z line [0-9]+ of' "$work/out" || fail "no time: $(cat "$work/out")"
  must "$k" logs -l app=talker --all-containers --tail=3
  [ "$(grep -c . "$work/out")" = 3 ] || fail "by label: $(cat "$work/out")"
}
rotated() { find "$1" -name '0.log.*' | grep -q .; }
grows_beyond() { [ "$(grep -c . "$work/follow.log")" -gt "$1" ]; }

test_each_previous_logs_and_last_words() {
  pod_of fickle '{terminationGracePeriodSeconds: 0, volumes: [{name: notes, emptyDir: {}}], containers: [{name: c, image: busybox,
    volumeMounts: [{name: notes, mountPath: /n}], command: [sh, -c,
    "n=$(cat /n/n 2>/dev/null || echo 0); echo $((n+1)) >/n/n; echo run $n; [ $n = 0 ] || sleep 1000; sleep 2; echo gone aground >/dev/termination-log; exit 3"]}]}'
  within 20 pod_ready fickle
  must_fail "$k" logs fickle --previous
  says 'previous terminated container "c" in pod "fickle" not found'
  within 20 container_says fickle "run 1"
  must "$k" logs fickle --previous
  says "run 0"
  must "$k" get pod fickle -o 'jsonpath={.status.containerStatuses[0].lastState.terminated}'
  says '"message":"gone aground'
  says '"exitCode":3'
  pod_of spoken '{restartPolicy: Never, containers: [{name: c, image: busybox, terminationMessagePolicy: FallbackToLogsOnError,
    command: [sh, -c, "echo no wind; exit 1"]}]}'
  within 20 phase_is spoken Failed
  must "$k" get pod spoken -o 'jsonpath={.status.containerStatuses[0].state.terminated.message}'
  says 'no wind'
}

test_static_pods() {
  mkdir -p "$work/etc/manifests"
  static_pod 1000 >"$work/etc/manifests/keel.yaml"
  within 20 pod_ready keel-test-node
  must "$k" describe pod keel-test-node
  says 'Started container c'
  must "$k" logs keel-test-node
  says 'laid 1000'
  must "$k" exec keel-test-node -- true
  id=$(field pod keel-test-node '{.status.containerStatuses[0].containerID}')
  must "$k" delete pod keel-test-node --wait=false
  within 10 pod_ready keel-test-node
  [ "$(field pod keel-test-node '{.status.containerStatuses[0].containerID}')" = "$id" ] || fail "its container was restarted"
  echo 'kind: [' >"$work/etc/manifests/bad.yaml"
  within 5 grep -q 'static pod manifest .*bad.yaml:1: ' "$work/orlopd.log"
  static_pod 2000 >"$work/etc/manifests/keel.yaml"
  within 20 container_says keel-test-node 'laid 2000'
  rm "$work/etc/manifests/keel.yaml" "$work/etc/manifests/bad.yaml"
  within 20 gone pod keel-test-node
}
static_pod() {
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: keel}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: [sh, -c, "echo laid $1; exec sleep $1"]}]
YAML
}

test_ephemeral_containers() {
  must "$k" run hull --image=nginx
  within 20 pod_ready hull
  must "$k" debug hull --image=busybox --target=hull -c pump -- sh -c 'cat /proc/1/cmdline; echo; exec sleep 1000'
  within 20 container_says hull 'nginx' -c pump
  must "$k" get pod hull -o 'jsonpath={.status.ephemeralContainerStatuses[0].state}'
  says running
  must "$k" exec hull -c pump -- true
  must_fail "$k" debug hull --image=busybox --target=absent -c other -- true
  says 'targetContainerName: Not found: "absent"'
  echo 'echo down-$((20+3)); exit' >"$work/in"
  (sleep 5; cat "$work/in"; sleep 1) | timeout 60 "$k" debug hull -i --image=busybox --target=hull -c hand -- sh >"$work/out" 2>&1
  says down-23
  must "$k" debug hull --copy-to=hull-two --image=busybox -c watch -- sleep 1000
  within 20 pod_ready hull-two
  [ "$(field pod hull '{.status.phase}')" = Running ] || fail "the pod itself is $(field pod hull '{.status.phase}')"
}

test_each_attach() {
  pod_of parrot '{terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, stdin: true,
    command: [sh, -c, "while read a; do echo heard-$a; done; sleep 1000"]}]}'
  within 20 pod_ready parrot
  (sleep 1; echo ahoy; sleep 1) | timeout 20 "$k" attach -i parrot >"$work/out" 2>&1
  says heard-ahoy
  # What waits for its input ends with its answer, and leaves nothing.
  (sleep 4; echo jack; sleep 1) | timeout 60 "$k" run asker -i --rm --restart=Never --image=busybox -- sh -c 'read a; echo is-$a' \
    >"$work/out" 2>&1
  says is-jack
  within 10 gone pod asker
}

test_each_attach_with_a_terminal() {
  timeout 60 script -qec "$k run -it --rm --restart=Never --image=busybox typist -- sh" /dev/null \
    < <(sleep 4; echo 'tty; echo done-$((40+2))'; sleep 2; echo exit; sleep 2) >"$work/out" 2>&1
  says done-42
  says /dev/
  within 10 gone pod typist
}

test_runtime_classes() {
  printf 'apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: %s}\nhandler: %s\n---\n' slow runc odd no-such-handler |
    "$k" apply -f - >"$work/out" 2>&1 || fail "$(cat "$work/out")"
  pod_of slow '{runtimeClassName: slow, terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, command: [sleep, "1000"]}]}'
  within 20 pod_ready slow
  pod_of odd '{runtimeClassName: odd, containers: [{name: c, image: busybox}]}'
  within 20 described pod odd 'no runtime for "no-such-handler" is configured'
  described pod odd FailedCreatePodSandBox || fail "no FailedCreatePodSandBox"
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: unknown}\nspec: {runtimeClassName: unknown, containers: [{name: c, image: busybox}]}\n' \
    >"$work/unknown.yaml"
  must_fail "$k" apply -f "$work/unknown.yaml"
  says 'pod rejected: RuntimeClass "unknown" not found'
  must "$k" delete runtimeclass slow odd
}
