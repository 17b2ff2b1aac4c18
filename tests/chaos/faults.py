"""What chaos breaks. Each fault is a function of the cluster; it returns a line that says what it did."""

import os
import signal
import subprocess
import time

ISOLATED = ("runtime-containerd", "net-iptables", "storage-local", "node-agent", "dns")


def kill_container(cluster, chance):
    tasks = [task for task in cluster.tasks() if not task.is_sandbox]
    return kill_task(chance.choice(tasks), "container") if tasks else "no container to kill"


def kill_sandbox(cluster, chance):
    tasks = [task for task in cluster.tasks() if task.is_sandbox]
    return kill_task(chance.choice(tasks), "sandbox") if tasks else "no sandbox to kill"


def kill_task(task, what):
    end(task.pid, signal.SIGKILL)
    return f"killed {what} {task.id[:12]} (pid {task.pid})"


def kill_shim(cluster, chance):
    pids = cluster.pids("containerd-shim-runc-v2")
    if not pids:
        return "no shim to kill"
    pid = chance.choice(sorted(pids))
    end(pid, signal.SIGKILL)
    return f"killed shim {pid}"


def kill_containerd(cluster, chance):
    pids = cluster.pids("containerd")
    for pid in pids:
        end(pid, signal.SIGKILL)
    return f"killed containerd {pids}"


def kill_plugin(cluster, chance):
    return signal_plugin(cluster, chance, signal.SIGKILL)


def hang_plugin(cluster, chance):
    return signal_plugin(cluster, chance, signal.SIGSTOP)


def signal_plugin(cluster, chance, number):
    name = chance.choice(ISOLATED)
    pid = cluster.host_pid(name)
    if pid is None:
        return f"{name} was away already"
    end(pid, number)
    return f"{signal.Signals(number).name} to {name} ({pid})"


def kill_orlopd(cluster, chance):
    cluster.kill_orlopd()
    time.sleep(chance.uniform(0, 2))
    cluster.start_orlopd()
    return "killed orlopd and started it again"


def pause_orlopd(cluster, chance):
    pid = cluster.orlopd_pid()
    seconds = chance.uniform(0.5, 4)
    end(pid, signal.SIGSTOP)
    time.sleep(seconds)
    end(pid, signal.SIGCONT)
    return f"stopped orlopd for {seconds:.1f} s"


def step_clock(cluster, chance):
    days = chance.choice((-1, 0, 1))
    cluster.set_clock(days)
    return f"clock stepped to {days:+d} days"


def delete_pod(cluster, chance):
    names = cluster.kubectl_text("get", "pods", "-l", "chaos=1", "-o", "name").split()
    if not names:
        return "no pod to delete"
    name = chance.choice(sorted(names))
    cluster.kubectl("delete", name, "--wait=false", *(["--now"] if chance.random() < 0.5 else []))
    return f"deleted {name}"


def scale(cluster, chance):
    for replicas in (chance.choice((1, 5, 6)), 3):
        cluster.kubectl("scale", "deployment/web", f"--replicas={replicas}")
        time.sleep(chance.uniform(0, 2))
    return "scaled web and back"


def restart_rollout(cluster, chance):
    what = chance.choice(("deployment/web", "statefulset/db", "daemonset/watcher"))
    cluster.kubectl("rollout", "restart", what)
    return f"restarted {what}"


def flush_rules(cluster, chance):
    subprocess.run(["iptables", "-w", "10", "-t", "nat", "-F", "ORLOP-SERVICES"], capture_output=True)
    return "flushed the chain ORLOP-SERVICES"


def end(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# Weight by weight: what breaks a container counts in its back-off, so it is not the most frequent.
ALL = (
    [kill_container] * 2 + [kill_sandbox] + [kill_shim] + [kill_containerd] * 2 + [kill_plugin] * 3 +
    [hang_plugin] * 2 + [kill_orlopd] * 3 + [pause_orlopd] + [step_clock] * 2 + [delete_pod] * 4 + [scale] * 2 +
    [restart_rollout] * 2 + [flush_rules]
)
