# Jobs, CronJobs, ReplicationControllers. FEATURES O9.

job_is() { [ "$(field job "$1" "{.status.conditions[?(@.type==\"$2\")].status}")" = True ]; } # job_is NAME CONDITION
job_field() { [ "$(field job "$1" "{.$2}")" = "$3" ]; }                                       # job_field NAME PATH VALUE
no_jobs() { must "$k" delete jobs,cronjobs --all --wait=true --timeout=60s; }

# A job of busybox: job_manifest NAME COMMAND [LINES of spec...]
job_manifest() {
  local name=$1 command=$2
  shift 2
  printf 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec:\n' "$name"
  printf '  %s\n' "$@"
  printf '  template:\n    spec:\n      restartPolicy: Never\n      terminationGracePeriodSeconds: 0\n      containers:\n'
  printf '      - {name: c, image: busybox, command: [sh, -c, "%s"]}\n' "$command"
}

test_each_job_runs_to_its_end() {
  must "$k" create job hello --image=busybox -- echo hello-from-a-job
  within 30 job_is hello Complete
  job_field hello status.succeeded 1 || fail "succeeded: $(field job hello '{.status}')"
  must "$k" logs job/hello
  says hello-from-a-job
  must "$k" get job hello
  says 1/1
  must "$k" describe job hello
  says SuccessfulCreate
  within 5 describes hello Completed
  must "$k" delete job hello
  within 20 no_pods_of hello
}
describes() { "$k" describe job "$1" | grep -q "$2"; }

test_job_completions_two_at_a_time() {
  job_manifest many 'true' 'completions: 4' 'parallelism: 2' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  must "$k" wait --for=condition=Complete job/many --timeout=40s
  job_field many status.succeeded 4 || fail "$(field job many '{.status}')"
  [ "$("$k" get pods -l job-name=many -o name | grep -c .)" = 4 ] || fail "pods: $("$k" get pods -l job-name=many)"
  must "$k" get pods -l job-name=many -o 'jsonpath={.items[*].metadata.finalizers}'
  says_not job-tracking
  no_jobs
}

test_job_that_fails_too_often() {
  job_manifest bad 'exit 3' 'backoffLimit: 0' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  must "$k" wait --for=condition=Failed job/bad --timeout=30s
  [ "$(field job bad '{.status.conditions[?(@.type=="Failed")].reason}')" = BackoffLimitExceeded ] ||
    fail "$(field job bad '{.status.conditions}')"
  job_field bad status.failed 1 || fail "$(field job bad '{.status}')"
  within 5 describes bad 'Job has reached the specified backoff limit'
  no_jobs
}

test_job_retries_after_ten_seconds() {
  job_manifest again 'exit 1' 'backoffLimit: 1' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  within 30 job_field again status.failed 1
  must "$k" wait --for=condition=Failed job/again --timeout=40s
  job_field again status.failed 2 || fail "$(field job again '{.status}')"
  no_jobs
}

test_job_indexed_and_failure_policy() {
  job_manifest indexed 'echo index $JOB_COMPLETION_INDEX on $(hostname)' 'completions: 3' 'parallelism: 3' \
    'completionMode: Indexed' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  must "$k" wait --for=condition=Complete job/indexed --timeout=40s
  job_field indexed status.completedIndexes 0-2 || fail "$(field job indexed '{.status}')"
  must "$k" logs -l batch.kubernetes.io/job-completion-index=1
  says 'index 1 on indexed-1'
  job_manifest policy 'exit 42' 'backoffLimit: 5' 'podFailurePolicy:' \
    '  rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  must "$k" wait --for=condition=Failed job/policy --timeout=30s
  [ "$(field job policy '{.status.conditions[?(@.type=="Failed")].reason}')" = PodFailurePolicy ] ||
    fail "$(field job policy '{.status.conditions}')"
  no_jobs
}

test_job_suspended_and_resumed() {
  job_manifest later 'sleep 300' 'suspend: true' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  within 10 job_is later Suspended
  no_pods_of later || fail "it has pods: $("$k" get pods -l job-name=later)"
  must "$k" patch job later --type=merge -p '{"spec":{"suspend":false}}'
  within 20 job_field later status.ready 1
  must "$k" patch job later --type=merge -p '{"spec":{"suspend":true}}'
  within 20 no_pods_of later
  job_field later status.failed '' || fail "a suspended pod counts as failed: $(field job later '{.status}')"
  no_jobs
}
no_pods_of() { [ -z "$("$k" get pods -l "job-name=$1" -o name)" ]; }

test_job_deadline_and_time_to_live() {
  job_manifest short 'sleep 300' 'activeDeadlineSeconds: 2' 'ttlSecondsAfterFinished: 1' >"$work/job.yaml"
  must "$k" apply -f "$work/job.yaml"
  within 20 job_is short Failed
  within 15 gone job short
  within 15 no_pods_of short
}

test_cronjob_by_hand() {
  must "$k" create cronjob tick --image=busybox --schedule='0 0 1 1 *' -- echo tick-tock
  must "$k" get cronjob tick
  says '0 0 1 1 *'
  must "$k" create job now --from=cronjob/tick
  within 30 job_is now Complete
  must "$k" logs job/now
  says tick-tock
  must "$k" delete cronjob tick
  within 20 gone job now
}

test_cronjob_refuses_nonsense() {
  must_fail "$k" create cronjob bad --image=busybox --schedule='61 * * * *' -- true
  says 'end of range (61) above maximum (59): 61'
  must_fail "$k" create cronjob bad --image=busybox --schedule='* * *' -- true
  says 'expected exactly 5 fields, found 3: [* * *]'
  "$k" create cronjob zone --image=busybox --schedule='* * * * *' --dry-run=client -o json -- true |
    jq '.spec.timeZone = "Mars/Olympus"' >"$work/cron.json"
  must_fail "$k" apply -f "$work/cron.json"
  says 'unknown time zone Mars/Olympus'
}

rc_ready() { [ "$(field rc "$1" '{.status.readyReplicas}')" = "$2" ]; }
test_replicationcontroller_scales() {
  cat >"$work/rc.yaml" <<END
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: old}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: nginx, image: nginx}]
END
  must "$k" apply -f "$work/rc.yaml"
  within 30 rc_ready old 1
  must "$k" scale rc old --replicas=2
  within 30 rc_ready old 2
  must "$k" scale rc old --replicas=0
  within 20 pod_count old 0
  must "$k" delete rc old
}
