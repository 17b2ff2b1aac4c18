# FEATURES C5, S7, S8: ConfigMaps, Secrets, volumes without a storage system, and what containers are told.

config_gone() { # all but what every namespace has
  "${kubectls%% *}" delete configmap,secret --field-selector=metadata.name!=kube-root-ca.crt >/dev/null 2>&1
}
in_pod() { "$k" exec "$1" -- cat "$2" 2>/dev/null; } # in_pod POD FILE
pod_says() { in_pod "$1" "$2" | grep -qF -- "$3"; }  # pod_says POD FILE TEXT
described() { "$k" describe "$1" "$2" | grep -qF -- "$3"; }
pod_folder() { echo "$work/data/plugins/node-agent/pods/$(field pod "$1" '{.metadata.uid}')"; }

# The tutorial's chapter as it is typed: from a file, an item under another name, an edit that the running pod sees.
test_each_configmap_chapter() {
  cd "$work" || fail "no $work"
  printf 'appendonly yes\n' >redis.conf
  must "$k" create cm redis-conf --from-file=redis.conf
  says "configmap/redis-conf created"
  must "$k" get cm
  says redis-conf
  must "$k" get cm redis-conf -o yaml
  says "appendonly yes"
  cat >redis-cm.yaml <<END
apiVersion: v1
data:
  abc: |
    appendonly yes
kind: ConfigMap
metadata:
  name: redis-conf
  namespace: default
---
apiVersion: v1
kind: Pod
metadata:
  name: redis
spec:
  containers:
  - name: redis
    image: redis
    command:
      - redis-server
      - "/redis-master/redis.conf"
    ports:
    - containerPort: 6379
    volumeMounts:
    - mountPath: /data
      name: data
    - mountPath: /redis-master
      name: config
  volumes:
    - name: data
      emptyDir: {}
    - name: config
      configMap:
        name: redis-conf
        items:
        - key: abc
          path: redis.conf
END
  must "$k" apply -f redis-cm.yaml
  within 30 pod_ready redis
  cat >editor <<'END'
#!/bin/sh
sed -i 's/^\( *\)appendonly yes *$/&\n\1requirepass 123456/' "$1"
END
  chmod +x editor
  KUBE_EDITOR=$work/editor must "$k" edit cm redis-conf
  says "edited"
  within 5 pod_says redis /redis-master/redis.conf "requirepass 123456"
  printf 'CONFIG GET appendonly\nCONFIG GET requirepass\nquit\n' | "$k" exec -i redis -- redis-cli >"$work/out" 2>&1 ||
    fail "redis-cli: $(cat "$work/out")"
  says appendonly
  says yes
  says_not 123456 # the server has not been started again
  must "$k" delete cm redis-conf
}

test_each_configmaps_and_secrets_by_command() {
  cd "$work" || fail "no $work"
  printf 'A=1\n# a comment\n\nB=two words\n' >some.env
  printf '\377\376' >binary
  must "$k" create configmap made --from-env-file=some.env
  must "$k" create configmap more --from-file=binary --from-file=named=some.env --from-literal=x=y
  must "$k" get cm made -o 'jsonpath={.data.A}:{.data.B}'
  says "1:two words"
  must "$k" get cm more -o 'jsonpath={.binaryData.binary}:{.data.x}'
  says "//4=:y"
  must_fail "$k" create configmap bad --from-literal='a b=c'
  must "$k" create secret generic plain --from-literal=user=admin --from-file=some.env
  must "$k" get secret plain -o 'jsonpath={.type}:{.data.user}'
  says "Opaque:YWRtaW4="
  must "$k" create secret docker-registry registry --docker-server=example.com --docker-username=me \
    --docker-password=secret
  must "$k" get secret registry -o 'jsonpath={.type}:{.data.\.dockerconfigjson}'
  says "kubernetes.io/dockerconfigjson:"
  base64 -d <<<"$(sed 's/.*://' "$work/out")" >decoded
  grep -q '"auth":"bWU6c2VjcmV0"' decoded || fail "the registry's secret: $(cat decoded)"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a -keyout tls.key -out tls.crt \
    >/dev/null 2>&1
  must "$k" create secret tls pair --cert=tls.crt --key=tls.key
  must "$k" get secret pair -o 'jsonpath={.type}'
  says kubernetes.io/tls
  must "$k" get secrets
  says "kubernetes.io/tls"
  config_gone
}

# A secret's plain text is nowhere on the disk: not in the store, its change log, or beside the pods.
test_secrets_are_sealed_at_rest() {
  must "$k" create secret generic sealed --from-literal=k=xyzzy-plugh-4711
  must "$k" patch secret sealed -p '{"stringData":{"k":"xyzzy-plugh-4712"}}'
  must "$k" create configmap open --from-literal=k=open-plugh-4711
  must "$k" delete secret sealed
  grep -rqF open-plugh-4711 "$work"/data || fail "this test does not see what it should see"
  for text in xyzzy-plugh eHl6enktcGx1Z2gt; do
    ! grep -rlF "$text" "$work"/data || fail "the secret lies open"
  done
  config_gone
}

test_what_is_missing_is_told_and_mended() {
  cat >"$work/pod.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: config, configMap: {name: absent}}]
  containers: [{name: c, image: busybox, command: [sleep, "1000"], volumeMounts: [{name: config, mountPath: /c}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: asks}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: busybox, command: [sleep, "1000"],
     env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: k}}}]}
END
  must "$k" apply -f "$work/pod.yaml"
  within 10 described pod waits 'MountVolume.SetUp failed for volume "config" : configmap "absent" not found'
  within 10 described pod asks 'Error: configmap "absent" not found'
  must "$k" get pods
  says CreateContainerConfigError
  must "$k" create configmap absent --from-literal=k=v
  within 5 pod_ready waits
  within 5 pod_ready asks
  config_gone
}

pod_of_many_volumes() {
  cat >"$work/pod.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: many, labels: {app: many}, annotations: {note: first}}
spec:
  terminationGracePeriodSeconds: 0
  hostname: web
  subdomain: sub
  hostAliases: [{ip: 10.1.2.3, hostnames: [alias.example]}]
  securityContext: {fsGroup: 2000, supplementalGroups: [3000]}
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.53], searches: [a.example], options: [{name: ndots, value: "2"}]}
  volumes:
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: disk, emptyDir: {}}
  - {name: config, configMap: {name: m, defaultMode: 0400}}
  - {name: secret, secret: {secretName: s, items: [{key: password, path: deep/p, mode: 0440}]}}
  - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: token, projected: {sources: [{serviceAccountToken: {path: t, audience: vault, expirationSeconds: 600}}]}}
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "echo \"\$(GREETING)\" '\$\$(GREETING)' >/disk/said; sleep 1000"]
    resources: {limits: {memory: 64Mi, cpu: 250m}}
    securityContext: {runAsUser: 1000, runAsGroup: 1000, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    envFrom: [{configMapRef: {name: m}}]
    env:
    - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    - {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: GREETING, value: "hello \$(APP)"}
    volumeMounts:
    - {name: memory, mountPath: /memory}
    - {name: disk, mountPath: /disk}
    - {name: disk, mountPath: /own, subPathExpr: logs/\$(APP)}
    - {name: config, mountPath: /config}
    - {name: config, mountPath: /single, subPath: k}
    - {name: secret, mountPath: /secret}
    - {name: down, mountPath: /down}
    - {name: token, mountPath: /token}
END
  must "$k" create configmap m --from-literal=k=one --from-literal=2bad=x
  must "$k" create secret generic s --from-literal=password=hidden
  must "$k" apply -f "$work/pod.yaml"
  within 30 pod_ready many
}

test_what_a_container_is_told() {
  pod_of_many_volumes
  must "$k" exec many -- sh -c 'df -k /memory | tail -n 1; id; env; cat /etc/hosts /etc/resolv.conf; hostname'
  says " 1024 "
  says "2000"
  says "3000"
  says "APP=many"
  says "LIMIT=64"
  says "CPU=250"
  says "k=one"
  says_not "2bad"
  says "alias.example"
  says "web.sub.default.svc.cluster.local"
  says "nameserver 192.0.2.53"
  says "options ndots:2"
  within 5 described pod many "Keys [2bad] from the EnvFrom configMap default/m were skipped"
  must "$k" exec many -- sh -c 'cat /disk/said /secret/deep/p /single; ls -lnL /config/k; ls -ln /disk/said'
  says 'hello many $(GREETING)'
  says hidden
  says one
  says "-r--r-----"
  says " 2000 "
  must_fail "$k" exec many -- sh -c 'dd if=/dev/zero of=/memory/f bs=1M count=2'
  must_fail "$k" exec many -- sh -c 'echo x >/root-is-read-only'
  must "$k" exec many -- sh -c 'echo mine >/own/f'
  must "$k" exec many -- cat /disk/logs/many/f
  says mine
  # the token is of its audience, and the pod is what it is bound to
  must "$k" exec many -- cat /token/t
  payload=$(cut -d. -f2 "$work/out" | tr '_-' '/+')
  while [ $((${#payload} % 4)) != 0 ]; do payload+='='; done
  base64 -d <<<"$payload" >"$work/token"
  grep -q '"aud":\["vault"\]' "$work/token" || fail "the token: $(cat "$work/token")"
  grep -q "$(field pod many '{.metadata.uid}')" "$work/token" || fail "the token: $(cat "$work/token")"
  config_gone
}

test_volumes_follow_their_objects_and_outlive_the_agent() {
  pod_of_many_volumes
  must "$k" patch configmap m -p '{"data":{"k":"two"}}'
  must "$k" label pod many app=changed --overwrite
  must "$k" patch secret s -p '{"stringData":{"password":"changed"}}'
  within 3 pod_says many /config/k two
  within 3 pod_says many /down/labels 'app="changed"'
  within 3 pod_says many /secret/deep/p changed
  [ "$(in_pod many /single)" = one ] || fail "a subPath was changed"
  folder=$(pod_folder many)
  mounts=$(grep -cF "$folder" /proc/self/mountinfo)
  [ "$mounts" -ge 5 ] || fail "only $mounts mounts below $folder"
  must "$k" exec many -- sh -c 'echo kept >/memory/f'
  must kill -9 "$(plugin_host_pid node-agent)"
  must "$k" patch configmap m -p '{"data":{"k":"three"}}'
  within 15 pod_says many /config/k three
  [ "$(in_pod many /memory/f)" = kept ] || fail "the memory volume was lost"
  [ "$(grep -cF "$folder" /proc/self/mountinfo)" = "$mounts" ] || fail "other mounts than before"
  must "$k" delete pod many
  within 10 test ! -e "$folder"
  ! grep -qF "$folder" /proc/self/mountinfo || fail "mounts are left"
  config_gone
}

test_users_and_sysctls() {
  cat >"$work/pod.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: root}
spec:
  containers: [{name: c, image: busybox, command: [sleep, "1000"], securityContext: {runAsNonRoot: true}}]
---
apiVersion: v1
kind: Pod
metadata: {name: unsafe}
spec:
  securityContext: {sysctls: [{name: net.core.somaxconn, value: "100"}]}
  containers: [{name: c, image: busybox, command: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: safe}
spec:
  terminationGracePeriodSeconds: 0
  shareProcessNamespace: true
  securityContext: {runAsUser: 7, sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "77"}]}
  containers:
  - {name: c, image: busybox, command: [sleep, "1000"], workingDir: /tmp}
  - {name: d, image: busybox, command: [sleep, "1000"]}
END
  must "$k" apply -f "$work/pod.yaml"
  within 20 described pod root "container has runAsNonRoot and image will run as root (pod: \"root_default("
  must "$k" get pod root
  says CreateContainerConfigError
  within 10 phase_is unsafe Failed
  must "$k" describe pod unsafe
  says 'forbidden sysctl: "net.core.somaxconn" not allowlisted'
  says SysctlForbidden
  within 20 pod_ready safe
  must "$k" exec safe -c c -- sh -c 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start; id -u; pwd; ps'
  says 77
  says "/tmp"
  [ "$(grep -c 'sleep 1000' "$work/out")" -ge 2 ] || fail "not one process namespace: $(cat "$work/out")"
}
