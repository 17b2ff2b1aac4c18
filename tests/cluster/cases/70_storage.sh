# FEATURES S2, S3, S4, S6: claims and volumes: out of the box, from a pool, with a StatefulSet.

claims_gone() { # what these tests made, whatever became of it
  "${kubectls%% *}" delete deploy,sts,pod --all --now --wait=true --timeout=60s >/dev/null 2>&1
  "${kubectls%% *}" delete pvc --all --wait=true --timeout=60s >/dev/null 2>&1
  "${kubectls%% *}" delete pv --all --wait=true --timeout=60s >/dev/null 2>&1
}
claim_is() { [ "$(field pvc "$1" '{.status.phase}')" = "$2" ]; }
volume_is() { [ "$(field pv "$1" '{.status.phase}')" = "$2" ]; }
told_of() { "$k" get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' | grep -qF -- "$2"; }
reads() { "$k" exec "$1" -- cat "$2" 2>/dev/null | grep -qF -- "$3"; } # reads POD FILE TEXT

claim_manifest() { # claim_manifest NAME SIZE MODE [CLASS]
  cat <<END_OF_MANIFEST
kind: PersistentVolumeClaim
apiVersion: v1
metadata: {name: $1}
spec:
  accessModes: [$3]
  resources: {requests: {storage: $2}}
END_OF_MANIFEST
  [ $# -lt 4 ] || echo "  storageClassName: $4"
}
pod_with_claim() { # pod_with_claim NAME CLAIM
  cat <<END_OF_MANIFEST
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: nginx, image: nginx, volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, persistentVolumeClaim: {claimName: $2}}]
END_OF_MANIFEST
}

test_each_claim_works_out_of_the_box() {
  must "$k" get storageclass
  says "local (default)"
  must "$k" apply -f - < <(claim_manifest box 10Mi ReadWriteOnce)
  within 20 told_of box "WaitForFirstConsumer: waiting for first consumer to be created before binding"
  claim_is box Pending || fail "bound before any pod used it"
  must "$k" apply -f - < <(pod_with_claim user box)
  within 60 pod_ready user
  claim_is box Bound || fail "not bound: $("$k" describe pvc box)"
  must "$k" exec user -- sh -c 'echo kept > /data/file'
  must "$k" delete pod user
  must "$k" apply -f - < <(pod_with_claim again box)
  within 60 pod_ready again
  within 10 reads again /data/file kept

  # In use, it stays; then it goes with its folder.
  local volume
  volume=$(field pvc box '{.spec.volumeName}')
  [ -d "$work/data/plugins/storage-local/volumes/$volume/data" ] || fail "no folder of $volume"
  must "$k" delete pvc box --wait=false
  must "$k" get pvc box
  says Terminating
  reads again /data/file kept || fail "the data went while a pod used it"
  must "$k" delete pod again
  within 30 gone pvc box
  within 30 gone pv "$volume"
  [ ! -e "$work/data/plugins/storage-local/volumes/$volume" ] || fail "the folder is left"
  claims_gone
}

# The tutorial's pool, on folders of the machine.
test_each_claim_takes_the_smallest_that_fits() {
  local size name
  for name in pv01-10m:10M pv02-1gi:1Gi pv03-3gi:3Gi; do
    size=${name#*:}
    mkdir -p "$work/pool/${name%:*}"
    cat <<END
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: ${name%:*}}
spec:
  capacity: {storage: $size}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Recycle
  storageClassName: nfs
  hostPath: {path: $work/pool/${name%:*}}
END
  done >"$work/pv.yaml"
  must "$k" apply -f "$work/pv.yaml"
  for name in pv01-10m pv02-1gi pv03-3gi; do within 20 volume_is $name Available; done
  claim_manifest nginx-pvc 200Mi ReadWriteMany nfs >"$work/pvc.yaml"
  must "$k" apply -f "$work/pvc.yaml"
  within 20 claim_is nginx-pvc Bound
  must "$k" get pv
  says default/nginx-pvc
  volume_is pv02-1gi Bound || fail "another one was taken: $(cat "$work/out")"
  volume_is pv03-3gi Available || fail "$(cat "$work/out")"

  echo old >"$work/pool/pv02-1gi/file"
  must "$k" delete -f "$work/pvc.yaml"
  within 30 volume_is pv02-1gi Available
  [ -z "$(ls -A "$work/pool/pv02-1gi")" ] || fail "recycled with its content"
  must "$k" apply -f "$work/pvc.yaml"
  within 20 claim_is nginx-pvc Bound
  [ "$(field pvc nginx-pvc '{.spec.volumeName}')" = pv02-1gi ] || fail "another volume"

  # A Deployment on the claim: a change in the folder is in both replicas, and outlives them.
  cat >"$work/dep02.yaml" <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx-deploy-pvc}
spec:
  replicas: 2
  selector: {matchLabels: {app: nginx-deploy-pvc}}
  template:
    metadata: {labels: {app: nginx-deploy-pvc}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: nginx, image: nginx, volumeMounts: [{name: html, mountPath: /usr/share/nginx/html}]}
      volumes: [{name: html, persistentVolumeClaim: {claimName: nginx-pvc}}]
END
  must "$k" apply -f "$work/dep02.yaml"
  within 60 ready_replicas nginx-deploy-pvc 2
  echo "hello volume" >"$work/pool/pv02-1gi/index.html"
  local pod
  for pod in $(pods_of nginx-deploy-pvc); do
    within 10 answers "http://$(field pod "$pod" '{.status.podIP}')/" "hello volume"
  done
  claims_gone
}

test_each_claim_of_an_unknown_class_says_so() {
  must "$k" apply -f - < <(claim_manifest lost 1Mi ReadWriteOnce nowhere)
  within 20 told_of lost 'ProvisioningFailed: storageclass.storage.k8s.io "nowhere" not found'
  must "$k" describe pvc lost
  says ProvisioningFailed
  says Pending
  must "$k" apply -f - < <(pod_with_claim waiting lost)
  within 20 told_of waiting "pod has unbound immediate PersistentVolumeClaims"
  claims_gone
}

test_stateful_set_keeps_each_its_data() {
  cat >"$work/db.yaml" <<END
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: nginx, image: nginx, volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
END
  must "$k" apply -f "$work/db.yaml"
  within 90 set_ready db 2
  local pod
  for pod in db-0 db-1; do must "$k" exec $pod -- sh -c "echo i am $pod > /data/name"; done
  must "$k" delete pod db-0 db-1
  within 90 set_ready db 2
  for pod in db-0 db-1; do within 60 reads $pod /data/name "i am $pod"; done
  must "$k" delete statefulset db
  within 60 pod_count db 0
  claim_is data-db-0 Bound || fail "the claim went with its set"
  claims_gone
}

# A volume of the pod's own, a path below a claim, a claim that may only be read, and one that takes one pod.
test_each_volume_of_a_pod_is_as_it_says() {
  must "$k" apply -f - < <(claim_manifest shared 1Mi ReadWriteOnce)
  must "$k" apply -f - < <(claim_manifest once 1Mi ReadWriteOncePod)
  cat >"$work/uses.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: uses}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 4321}
  containers:
  - name: nginx
    image: nginx
    volumeMounts:
    - {name: own, mountPath: /own}
    - {name: shared, mountPath: /below, subPath: a/b}
    - {name: read, mountPath: /read}
    - {name: once, mountPath: /once}
  volumes:
  - {name: shared, persistentVolumeClaim: {claimName: shared}}
  - {name: read, persistentVolumeClaim: {claimName: shared, readOnly: true}}
  - {name: once, persistentVolumeClaim: {claimName: once}}
  - name: own
    ephemeral:
      volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
END
  must "$k" apply -f "$work/uses.yaml"
  within 60 pod_ready uses
  claim_is uses-own Bound || fail "the pod has no claim of its own"
  must "$k" exec uses -- sh -c 'echo x > /own/file && echo deep > /below/file'
  within 10 reads uses /read/a/b/file deep
  must_fail "$k" exec uses -- sh -c 'echo y > /read/file'
  must "$k" exec uses -- stat -c %g /own
  says 4321
  must "$k" apply -f - < <(pod_with_claim second once)
  within 20 told_of second "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
  must "$k" delete pod uses
  within 60 pod_ready second
  within 30 gone pvc uses-own
  claims_gone
}

# Killed in the middle of provisioning and of deletion: the claim comes to its pod, and no folder is left.
test_killed_storage_leaves_nothing_half() {
  local round plugin
  for round in $(seq "${ORLOP_TEST_KILLS:-4}"); do
    must "$k" apply -f - < <(claim_manifest "k$round" 1Mi ReadWriteOnce)
    must "$k" apply -f - < <(pod_with_claim "k$round" "k$round")
    sleep "0.0$((RANDOM % 90 + 10))"
    for plugin in storage-local node-agent; do kill -9 "$(plugin_host_pid $plugin)"; done
    [ $((round % 2)) = 0 ] || { daemon_kill 9; daemon_start; within 20 ready; }
    within 60 pod_ready "k$round"
    "$k" delete pvc "k$round" --wait=false >/dev/null
    "$k" delete pod "k$round" --wait=false >/dev/null
    sleep "0.0$((RANDOM % 90 + 10))"
    within 20 plugin_runs storage-local
    for plugin in storage-local node-agent; do kill -9 "$(plugin_host_pid $plugin)"; done
    [ $((round % 2)) = 1 ] || { daemon_kill 9; daemon_start; within 20 ready; }
    within 60 gone pod "k$round"
    within 60 gone pvc "k$round"
  done
  within 60 no_volumes
}
no_volumes() { [ -z "$("$k" get pv -o name)" ] && [ -z "$(ls -A "$work/data/plugins/storage-local/volumes")" ]; }
