# FEATURES N1, N3: Services, balanced and followed at once.

three_named_pods() { # three nginx whose page is their own name, behind the Service my-dep
  must "$k" create deployment my-dep --image=nginx --replicas=3
  within 30 ready_replicas my-dep 3
  for pod in $(pods_of my-dep); do
    must "$k" exec "$pod" -- /bin/bash -c 'echo $HOSTNAME >/usr/share/nginx/html/index.html'
  done
}
# Fifty questions; the different answers, one a line.
who_answers() { for _ in $(seq 50); do curl -s --max-time 2 "$1"; done | sort -u; }
answered_by() { [ "$(who_answers "$1" | grep -c .)" = "$2" ]; }

test_each_n1_cluster_ip_balances_and_follows() {
  three_named_pods
  must "$k" expose deployment my-dep --port=8000 --target-port=80
  says "service/my-dep exposed"
  ip=$(field service my-dep '{.spec.clusterIP}')
  must "$k" get svc
  says "8000/TCP"
  within 5 answered_by "http://$ip:8000" 3
  # from a pod too, itself included
  pod=$(pods_of my-dep | head -n 1)
  must "$k" exec "$pod" -- /bin/bash -c "for i in 1 2 3 4 5 6; do curl -s --max-time 2 http://$ip:8000 || exit 1; done"
  must "$k" scale --replicas=1 deployment/my-dep
  within 20 pod_count my-dep 1
  within 2 answered_by "http://$ip:8000" 1
}

test_each_n3_node_port() {
  three_named_pods
  must "$k" expose deployment my-dep --port=8000 --target-port=80 --type=NodePort
  node_port=$(field service my-dep '{.spec.ports[0].nodePort}')
  [ "$node_port" -ge 30000 ] && [ "$node_port" -le 32767 ] || fail "node port $node_port"
  must "$k" get svc
  says "8000:$node_port/TCP"
  node_ip=$(field node test-node '{.status.addresses[0].address}')
  within 5 answered_by "http://$node_ip:$node_port" 3
}

test_n1_service_by_yaml() {
  three_named_pods
  cat >"$work/service.yaml" <<END
apiVersion: v1
kind: Service
metadata: {labels: {app: my-dep}, name: my-dep}
spec:
  selector: {app: my-dep}
  ports:
  - {port: 8000, protocol: TCP, targetPort: 80}
END
  must "$k" apply -f "$work/service.yaml"
  ip=$(field service my-dep '{.spec.clusterIP}')
  within 5 answered_by "http://$ip:8000" 3
  must "$k" get endpoints my-dep
  must "$k" describe service my-dep
  says "Endpoints:"
}

test_o4_pods_reach_each_other() {
  must "$k" run one --image=nginx
  must "$k" run two --image=nginx
  within 20 pod_ready one
  within 20 pod_ready two
  ip=$(field pod two '{.status.podIP}')
  must "$k" exec one -- curl -s --max-time 2 "http://$ip"
  says nginx
}
