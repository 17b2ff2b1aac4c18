"""What must hold at a quiet moment. Each look yields a sentence for whatever is wrong."""

import collections
import json
import os
import pathlib
import re
import subprocess

import faults

WANTED = {"web": 3, "db": 2, "watcher": 1}
CONTAINERS = {"web": 1, "db": 2, "watcher": 1}
POD_CGROUP = re.compile(r"^pod[0-9a-f-]{36}$")


def pods(cluster):
    return json.loads(cluster.kubectl_text("get", "pods", "-l", "chaos=1", "-o", "json") or '{"items": []}')["items"]


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def look_at_pods(cluster, found):
    by_app = collections.defaultdict(list)
    for pod in found:
        by_app[pod["metadata"]["labels"]["app"]].append(pod)
    for app, count in WANTED.items():
        mine = by_app[app]
        if len(mine) != count:
            yield f"{app}: {len(mine)} pods in place of {count}: {[pod['metadata']['name'] for pod in mine]}"
        for pod in mine:
            name = pod["metadata"]["name"]
            if pod["metadata"].get("deletionTimestamp"):
                yield f"{name} is still going away"
            elif not is_ready(pod):
                waiting = [s.get("state") for s in pod.get("status", {}).get("containerStatuses", [])]
                yield f"{name} is not ready: {pod['status'].get('phase')} {json.dumps(waiting)[:300]}"
    names = sorted(pod["metadata"]["name"] for pod in by_app["db"])
    if names != ["db-0", "db-1"]:
        yield f"db's names are {names}"


def look_at_rollouts(cluster, found):
    for what, path in (("deployment/web", "{.status.updatedReplicas} {.status.replicas} {.status.availableReplicas}"),
                       ("statefulset/db", "{.status.updatedReplicas} {.status.replicas} {.status.readyReplicas}"),
                       ("daemonset/watcher", "{.status.updatedNumberScheduled} {.status.currentNumberScheduled} "
                                             "{.status.numberReady}")):
        told = cluster.kubectl_text("get", what, "-o", f"jsonpath={path}").split()
        if told != [str(WANTED[what.split("/")[1]])] * 3:
            yield f"{what} says {told}"


def look_at_service(cluster, found):
    address = cluster.kubectl_text("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    for _ in range(6):
        answer = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2",
                                 f"http://{address}:8000/"], capture_output=True, text=True).stdout
        if answer != "200":
            yield f"the Service at {address} answers {answer}"
            return


def look_at_machine(cluster, found):
    """Exact counts: everything on the machine that belongs to a pod is there once for each pod that there is."""
    count = len(found)
    uids = {pod["metadata"]["uid"] for pod in found}
    containers = sum(CONTAINERS[pod["metadata"]["labels"]["app"]] for pod in found)
    tasks = cluster.tasks()
    running = [task for task in tasks if task.status == "RUNNING"]
    sandboxes = [task for task in running if task.is_sandbox]
    if len(sandboxes) != count:
        yield f"{len(sandboxes)} sandboxes run for {count} pods"
    if len(running) - len(sandboxes) != containers:
        yield f"{len(running) - len(sandboxes)} containers run in place of {containers}"
    for name, expected in (("containerd-shim-runc-v2", count), ("containerd", 1), ("orlopd", 1),
                           ("orlop-host", len(faults.ISOLATED))):
        have = len(cluster.pids(name))
        if have != expected:
            yield f"{have} processes {name} in place of {expected}"
    namespaces = [point for point in cluster.inner_mounts() if "/netns/" in point]
    if len(namespaces) != count:
        yield f"{len(namespaces)} network namespaces are pinned for {count} pods"
    roots = [point for point in cluster.inner_mounts() if point.endswith("/rootfs")]
    if len(roots) != count + containers:
        yield f"{len(roots)} root file systems are mounted for {count + containers} sandboxes and containers"
    ports = [line for line in output("ip", "-o", "link", "show", "type", "veth").splitlines()
             if "master orlop0" in line]
    if len(ports) != count:
        yield f"{len(ports)} interfaces on the bridge for {count} pods"
    strange = [path for path in cgroups() if path.name.removeprefix("pod") not in uids]
    if strange:
        yield f"{len(strange)} cgroups of pods that are gone, such as {strange[0]}"
    folders = cluster.pod_folders()
    if folders != uids:
        yield f"folders of pods: {len(folders - uids)} too many, {len(uids - folders)} missing"
    logs = cluster.log_folders()
    if {name.rsplit("_", 1)[-1] for name in logs} != uids:
        yield f"{len(logs)} log folders for {count} pods"
    for name in logs:
        for container in os.scandir(os.path.join(cluster.logs, name)):
            files = len(os.listdir(container.path)) if container.is_dir() else 0
            if files > 8:
                yield f"{files} log files of {name}/{container.name}"
    addresses = cluster.addresses()
    if addresses is not None and addresses != count:
        yield f"{addresses} addresses are taken for {count} pods"


def cgroups():
    root = pathlib.Path("/sys/fs/cgroup")
    return [path for depth in ("*/orlop/*", "*/orlop/*/*", "orlop/*", "orlop/*/*") for path in root.glob(depth)
            if POD_CGROUP.match(path.name)]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


def all_wrong(cluster):
    """Everything that is wrong now; nothing: it is quiet, and all is as it should be."""
    try:
        found = pods(cluster)
        wrong = list(look_at_pods(cluster, found))
        if wrong:
            return wrong
        return [sentence for look in (look_at_rollouts, look_at_service, look_at_machine)
                for sentence in look(cluster, found)]
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return [f"cannot look: {error!r}"]
