# FEATURES N2: names of Services and pods, from inside a pod.

resolves() { "$k" exec box -- nslookup "$1" | grep -qF "$2"; } # resolves NAME WHAT
reached() { "$k" exec web -- curl -s --max-time 2 "http://$1" | grep -qi nginx; }
unknown() { ! "$k" exec box -- nslookup "$1" >"$work/out" 2>&1 && grep -qF NXDOMAIN "$work/out"; }

test_n2_names_inside_a_pod() {
  must "$k" run web --image=nginx --labels=app=web
  must "$k" run box --image=busybox --restart=Never --command -- sleep 1000
  within 20 pod_ready web
  within 20 pod_ready box
  must "$k" expose pod web --name=my-dep --port=8000 --target-port=80
  must "$k" expose pod web --name=bare --port=80 --cluster-ip=None
  must "$k" create service externalname other --external-name=my-dep.default.svc.cluster.local
  local ip pod_ip
  ip=$(field service my-dep '{.spec.clusterIP}')
  pod_ip=$(field pod web '{.status.podIP}')
  within 5 resolves my-dep.default.svc.cluster.local "$ip"
  within 5 resolves bare.default.svc.cluster.local "$pod_ip"
  within 5 resolves other.default.svc.cluster.local "$ip"
  within 5 resolves kubernetes.default.svc.cluster.local 10.96.0.1
  within 5 resolves "$ip" my-dep.default.svc.cluster.local
  within 5 unknown nobody.default.svc.cluster.local
  within 5 reached my-dep:8000
  within 5 reached my-dep.default.svc:8000
  within 5 reached my-dep.default.svc.cluster.local:8000
}

test_n2_the_plugin_killed() {
  must "$k" run box --image=busybox --restart=Never --command -- sleep 1000
  within 20 pod_ready box
  within 5 resolves kubernetes.default.svc.cluster.local 10.96.0.1
  must kill -9 "$(plugin_host_pid dns)"
  within 5 resolves kubernetes.default.svc.cluster.local 10.96.0.1
}
