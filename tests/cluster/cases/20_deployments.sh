# FEATURES O5 and the tutorial's Deployment chapter.

test_each_o5_deployment_heals_and_scales() {
  must "$k" create deployment my-dep --image=nginx --replicas=3
  says "deployment.apps/my-dep created"
  within 30 ready_replicas my-dep 3
  victim=$(pods_of my-dep | head -n 1)
  must "$k" delete pod "$victim"
  within 20 gone pod "$victim"
  within 30 ready_replicas my-dep 3
  must "$k" scale --replicas=5 deployment/my-dep
  says "deployment.apps/my-dep scaled"
  within 30 ready_replicas my-dep 5
  must "$k" scale --replicas=3 deployment/my-dep
  within 30 pod_count my-dep 3
  must "$k" get deployment my-dep
  says "3/3"
  must "$k" delete deployment my-dep
  within 30 pod_count my-dep 0
}

test_each_o5_deployment_by_yaml_and_edit() {
  cat >"$work/dep.yaml" <<END
apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    app: my-dep
  name: my-dep
spec:
  replicas: 2
  selector:
    matchLabels:
      app: my-dep
  template:
    metadata:
      labels:
        app: my-dep
    spec:
      containers:
      - image: nginx
        name: nginx
END
  must "$k" apply -f "$work/dep.yaml"
  within 30 ready_replicas my-dep 2
  cat >"$work/editor" <<'END'
#!/bin/sh
sed -i 's/replicas: 2/replicas: 3/' "$1"
END
  chmod +x "$work/editor"
  must env "KUBE_EDITOR=$work/editor" "$k" edit deployment my-dep
  says "edited"
  within 30 ready_replicas my-dep 3
  must "$k" delete -f "$work/dep.yaml"
}

test_o6_rolling_update_and_status() {
  must "$k" create deployment my-dep --image=nginx --replicas=2
  within 30 ready_replicas my-dep 2
  must "$k" set image deployment/my-dep nginx=nginx:1.16.1
  must timeout 60 "$k" rollout status deployment/my-dep
  says "successfully rolled out"
  must "$k" get deployment my-dep -o 'jsonpath={.spec.template.spec.containers[0].image}'
  says nginx:1.16.1
}
