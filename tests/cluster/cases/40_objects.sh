# FEATURES O1, C1, C8, and bad input.

test_each_o1_namespaces() {
  must "$k" create ns test
  must "$k" get ns
  says "kube-system"
  must "$k" create deployment inside --image=nginx -n test
  must "$k" create configmap settings --from-literal=a=b -n test
  must "$k" get pods -A
  says "test"
  must "$k" delete ns test
  within 40 gone ns test
  must "$k" get configmaps,deployments -A
  says_not "test  "
  must_fail "$k" delete ns default
  says "this namespace may not be deleted"
}

test_each_c8_from_stdin_directory_and_url() {
  mkdir -p "$work/manifests"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n' >"$work/manifests/one.yaml"
  printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"two"}}' >"$work/manifests/two.json"
  must "$k" apply -f "$work/manifests"
  says "configmap/one created"
  says "configmap/two created"
  must "$k" delete -f "$work/manifests"
  "$k" apply -f - <"$work/manifests/one.yaml" >"$work/out" 2>&1 || fail "from stdin: $(cat "$work/out")"
  server=$(free_port)
  python3 -m http.server --bind 127.0.0.1 --directory "$work/manifests" "$server" >/dev/null 2>&1 &
  helper=$!
  within 5 curl -sf "http://127.0.0.1:$server/one.yaml"
  must "$k" apply -f "http://127.0.0.1:$server/one.yaml"
  kill $helper
  must "$k" delete configmap one
}

test_every_builtin_kind_can_be_listed() {
  for kind in $("$k" api-resources --verbs=list -o name); do
    "$k" get "$kind" -A >"$work/out" 2>&1 || fail "get $kind: $(cat "$work/out")"
  done
}

test_patches() {
  must "$k" create configmap patched --from-literal=a=1
  must "$k" patch configmap patched --type=json -p '[{"op":"add","path":"/data/b","value":"2"}]'
  must "$k" patch configmap patched --type=merge -p '{"data":{"a":null,"c":"3"}}'
  must "$k" patch configmap patched --type=strategic -p '{"data":{"d":"4"}}'
  must "$k" get configmap patched -o 'jsonpath={.data}'
  says '"b":"2"'
  says '"c":"3"'
  says '"d":"4"'
  says_not '"a"'
  must "$k" delete configmap patched
}

test_watch_sees_changes() {
  timeout 20 "$k" get configmaps -w --output-watch-events --no-headers >"$work/watch.log" 2>&1 &
  watcher=$!
  within 10 test -s "$work/watch.log"
  must "$k" create configmap watched
  within 5 grep -q "ADDED *watched" "$work/watch.log"
  must "$k" label configmap watched x=y
  within 5 grep -q "MODIFIED *watched" "$work/watch.log"
  must "$k" delete configmap watched
  within 5 grep -q "DELETED *watched" "$work/watch.log"
  kill $watcher
}

status_of() { api "$@" -o "$work/body" -w '%{http_code}'; }
expect_status() { # expect_status CODE REASON PATH CURL-ARGUMENTS...
  local code=$1 reason=$2
  shift 2
  local seen
  seen=$(status_of "$@")
  cp "$work/body" "$work/out"
  [ "$seen" = "$code" ] || fail "expected $code of $1, got $seen: $(head -c 500 "$work/body")"
  says "\"reason\":\"$reason\""
}

test_bad_input_gets_kubernetes_own_words() {
  local json='Content-Type: application/json' maps=/api/v1/namespaces/default/configmaps
  expect_status 400 BadRequest $maps -H "$json" -d '{"apiVersion":"v1","kind":"ConfigMap",'
  expect_status 422 Invalid $maps -H "$json" -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"Not Valid"}}'
  says "a lowercase RFC 1123 subdomain must consist of"
  expect_status 400 BadRequest $maps -H "$json" -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":1}}'
  expect_status 400 BadRequest "$maps?fieldValidation=Strict" -H "$json" \
    -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"dta":{}}'
  says 'unknown field \"dta\"'
  expect_status 400 BadRequest "$maps?fieldValidation=Strict" -H "$json" \
    -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","name":"y"}}'
  says 'duplicate field \"metadata.name\"'
  expect_status 404 NotFound $maps/absent
  expect_status 415 UnsupportedMediaType $maps -H "Content-Type: text/html" -d x
  head -c 4000000 /dev/zero | tr '\0' a >"$work/large"
  expect_status 413 RequestEntityTooLarge $maps -H "$json" --data-binary "@$work/large"
  python3 -c 'print("{\"a\":" * 200000)' >"$work/deep"
  expect_status 400 BadRequest $maps -H "$json" --data-binary "@$work/deep"
  must "$k" create configmap stale
  expect_status 409 Conflict $maps/stale -X PUT -H "$json" \
    -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"stale","resourceVersion":"1"}}'
  says "the object has been modified"
  expect_status 409 AlreadyExists $maps -H "$json" -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"stale"}}'
  must "$k" delete configmap stale
}

test_each_nine_good_and_one_bad() {
  : >"$work/ten.yaml"
  for n in 1 2 3 4 5 6 7 8 9; do
    printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ten-%s, labels: {ten: "1"}}\n' "$n" >>"$work/ten.yaml"
  done
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n' >>"$work/ten.yaml"
  must_fail "$k" apply -f "$work/ten.yaml"
  says "Bad_Name"
  [ "$("$k" get configmaps -l ten=1 -o name | grep -c .)" = 9 ] || fail "not nine"
  must "$k" delete configmaps -l ten=1
}

test_broken_yaml_is_told_with_its_line() {
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n data: {\n' >"$work/broken.yaml"
  must_fail "$k" apply -f "$work/broken.yaml"
  says "line"
}

test_c1_requests_without_credentials_are_refused() {
  code=$(curl -sk -o "$work/out" -w '%{http_code}' "https://127.0.0.1:$port/api/v1/secrets")
  [ "$code" = 401 ] || [ "$code" = 403 ] || fail "got $code"
  code=$(curl -sk -o "$work/out" -w '%{http_code}' -H 'Authorization: Bearer nonsense' "https://127.0.0.1:$port/api/v1/secrets")
  [ "$code" = 401 ] || fail "got $code"
}
