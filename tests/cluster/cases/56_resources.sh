# What pods may use: limits on real cgroups, OOMKilled, refusals on the node, eviction for the disk, allocatable.

resource_pod() { # resource_pod NAME RESOURCES COMMAND [MORE SPEC]
  cat >"$work/$1.yaml" <<EOF
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "$3"]
    resources: $2
${4:-}
EOF
  must "$k" apply -f "$work/$1.yaml"
}
pod_reason() { [ "$(field pod "$1" '{.status.reason}')" = "$2" ]; }
# cgroup_file POD CONTROLLER FILE-OF-V1 FILE-OF-V2: of the pod's own cgroup, whichever version there is
cgroup_file() {
  local uid
  uid=$(field pod "$1" '{.metadata.uid}')
  find /sys/fs/cgroup/"$2"/orlop /sys/fs/cgroup/orlop -path "*pod$uid/$3" -o -path "*pod$uid/$4" 2>/dev/null | head -n 1
}
has_event() { "$k" get events --field-selector "reason=$1" -o 'jsonpath={.items[*].message}' 2>/dev/null | grep -qF -- "$2"; }

test_memory_limit_oom_killed() {
  resource_pod hog '{limits: {memory: 32Mi}}' 'sleep 1; exec dd if=/dev/zero of=/dev/null bs=200M count=1' \
    '  restartPolicy: Never'
  within 20 phase_is hog Failed
  must "$k" get pod hog -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}'
  says "OOMKilled 137"
  must "$k" get pod hog
  says OOMKilled
  must "$k" describe pod hog
  says "OOMKilled"
  [ ! -r /dev/kmsg ] || within 10 has_event OOMKilling "victim process"
}

test_limits_stand_in_cgroups() {
  resource_pod limited '{requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 250m, memory: 64Mi}}' 'sleep 600'
  within 20 pod_ready limited
  must cat "$(cgroup_file limited memory memory.limit_in_bytes memory.max)"
  says 67108864
  must cat "$(cgroup_file limited cpu cpu.cfs_quota_us cpu.max)"
  says 25000
  must "$k" get pod limited -o 'jsonpath={.status.qosClass}'
  says Burstable
  # The container itself is held too, and so is what it says of itself.
  must "$k" exec limited -- sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null; true'
  says 25000
  must cat "$(cgroup_file limited memory memory.limit_in_bytes memory.max)"
  folder=$(dirname "$(cgroup_file limited memory memory.limit_in_bytes memory.max)")
  must "$k" delete pod limited --now
  within 10 test ! -e "$folder"
}

test_empty_dir_above_its_limit_evicts() {
  resource_pod writer '{}' 'dd if=/dev/zero of=/x/file bs=1M count=20; sleep 600' \
    '    volumeMounts: [{name: x, mountPath: /x}]
  volumes: [{name: x, emptyDir: {sizeLimit: 10Mi}}]'
  within 40 pod_reason writer Evicted
  must "$k" get pod writer -o 'jsonpath={.status.phase}: {.status.message}'
  says 'Failed: Usage of EmptyDir volume "x" exceeds the limit "10Mi".'
  must "$k" describe pod writer
  says Evicted
}

test_too_big_for_the_node() {
  resource_pod big '{requests: {cpu: "1000"}}' 'sleep 600' '  nodeName: test-node'
  within 10 pod_reason big OutOfcpu
  must "$k" get pod big -o 'jsonpath={.status.phase}: {.status.message}'
  says "Failed: Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: "
  must "$k" get pod big
  says OutOfcpu
  resource_pod big2 '{requests: {memory: 4Ti}}' 'sleep 600' '  nodeName: test-node'
  within 10 pod_reason big2 OutOfmemory
  must "$k" describe pod big2
  says "Node didn't have enough resource: memory"
  resource_pod picky '{}' 'sleep 600' '  nodeName: test-node
  nodeSelector: {disk: none-such}'
  within 10 pod_reason picky NodeAffinity
}

test_node_tells_what_is_allocated() {
  resource_pod limited '{requests: {cpu: 150m, memory: 16Mi}}' 'sleep 600'
  within 20 pod_ready limited
  must "$k" describe node test-node
  says "Allocatable:"
  says "hugepages-2Mi:"
  says "ephemeral-storage:"
  says "Allocated resources:"
  says "150m"
  says "MemoryPressure"
  capacity=$(field node test-node '{.status.capacity.memory}')
  allocatable=$(field node test-node '{.status.allocatable.memory}')
  # What the hard threshold keeps free.
  [ $((${capacity%Ki} - ${allocatable%Ki})) = 102400 ] || fail "allocatable $allocatable of $capacity"
}
