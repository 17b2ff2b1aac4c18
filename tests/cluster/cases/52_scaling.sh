# Disruption budgets and evictions, what is used (kubectl top), horizontal autoscaling.

allowed_is() { [ "$(field pdb "$1" '{.status.disruptionsAllowed}')" = "$2" ]; }
replicas_at_least() { [ "$(field deployment "$1" '{.spec.replicas}')" -ge "$2" ]; }
replicas_are() { [ "$(field deployment "$1" '{.spec.replicas}')" = "$2" ]; }
scaling_left() { "$k" delete pdb,hpa --all >/dev/null 2>&1; "$k" uncordon test-node >/dev/null 2>&1; }

each_kubectl() { # each_kubectl COMMAND...: orlop has no drain and no top
  for k in $(printf '%s\n' $kubectls | grep -v '/orlop$'); do "$@"; done
}

evict() { # evict POD: the Eviction API itself; the code of its answer is the last line
  api "/api/v1/namespaces/default/pods/$1/eviction" -X POST -H 'Content-Type: application/json' -w '\n%{http_code}\n' \
    -d "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$1\"}}"
}

test_budget_stops_an_eviction() {
  trap scaling_left EXIT
  must "$k" create deployment guarded --image=nginx --replicas=2
  must "$k" create pdb guard --selector app=guarded --min-available=2
  within 30 ready_replicas guarded 2
  within 10 allowed_is guard 0
  victim=$(pods_of guarded | head -n 1)
  must evict "$victim"
  says 429
  says "Cannot evict pod as it would violate the pod's disruption budget."
  says "The disruption budget guard needs 2 healthy pods and has 2 currently"
  must "$k" patch pdb guard --type merge -p '{"spec":{"minAvailable":1}}'
  within 10 allowed_is guard 1
  must "$k" get pdb guard
  says "guard   1               N/A               1"
  must evict "$victim"
  says 201
  within 40 gone pod "$victim"
  within 30 ready_replicas guarded 2
  within 10 allowed_is guard 1
}

test_drain_respects_a_budget() {
  trap scaling_left EXIT
  each_kubectl drain_respects_a_budget
}
drain_respects_a_budget() {
  must "$k" create deployment drained --image=nginx --replicas=1
  must "$k" create pdb keeps-one --selector app=drained --min-available=1
  within 30 ready_replicas drained 1
  within 10 allowed_is keeps-one 0
  must_fail "$k" drain test-node --pod-selector app=drained --ignore-daemonsets --timeout=8s
  says "Cannot evict pod as it would violate the pod's disruption budget."
  within 10 pod_count drained 1
  must "$k" uncordon test-node
  must "$k" scale deployment drained --replicas=3
  within 30 ready_replicas drained 3
  within 10 allowed_is keeps-one 2
  victim=$(pods_of drained | head -n 1)
  must "$k" label pod "$victim" leaves=now
  must "$k" drain test-node --pod-selector leaves=now --ignore-daemonsets --timeout=60s --grace-period=1
  says "pod/$victim evicted"
  must "$k" uncordon test-node
  must "$k" delete deployment,pdb --all
  within 30 pod_count drained 0
}

test_top_tells_what_is_used() {
  each_kubectl top_tells_what_is_used
}
top_tells_what_is_used() {
  must "$k" run burner --image=busybox --restart=Never -- sh -c 'while :; do :; done'
  within 30 phase_is burner Running
  burns() {
    "$k" top pod burner --no-headers >"$work/top" 2>&1 &&
      awk '{ sub("m", "", $2); exit !($2 > 200 && $3 ~ /Mi$/) }' "$work/top"
  }
  within 40 burns
  must "$k" top pod -A --containers
  says burner
  must "$k" top node
  says test-node
  says "%"
  must "$k" delete pod burner --now
}

test_autoscaler_follows_the_load() {
  trap scaling_left EXIT
  cat >"$work/hpa.yaml" <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: worker
          image: busybox
          command: [sh, -c, 'while :; do if [ -e /busy/on ]; then :; else sleep 1; fi; done']
          resources: {requests: {cpu: 50m}, limits: {cpu: 200m}}
          volumeMounts: [{name: busy, mountPath: /busy}]
      volumes: [{name: busy, hostPath: {path: BUSY, type: DirectoryOrCreate}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: worker}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}
  minReplicas: 1
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 5}}
END
  mkdir -p "$work/busy"
  sed -i "s#BUSY#$work/busy#" "$work/hpa.yaml"
  must "$k" apply -f "$work/hpa.yaml"
  within 30 ready_replicas worker 1
  idle() { [ -n "$(field hpa worker '{.status.currentMetrics[0].resource.current.averageUtilization}')" ]; }
  within 60 idle
  replicas_are worker 1 || fail "idle, and scaled to $(field deployment worker '{.spec.replicas}')"
  touch "$work/busy/on"
  within 30 replicas_at_least worker 2
  rm "$work/busy/on"
  within 90 replicas_are worker 1
  must "$k" describe hpa worker
  says "above target"
  says "All metrics below target"
  says "ValidMetricFound"
  must "$k" get hpa worker
  says "Deployment/worker   cpu:"
}
