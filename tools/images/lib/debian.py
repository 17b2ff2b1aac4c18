"""The Debian packages that an image needs, and their files. apt solves, downloads and checks the hashes."""

import hashlib
import os
import pathlib
import subprocess
import tarfile

# Paths that a container has no use for. Copyright files stay: the licences ask for it.
DROPPED = (
    "usr/share/man/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/", "usr/share/bug/",
    "usr/share/doc-base/", "usr/share/i18n/", "usr/share/menu/", "usr/share/icons/", "usr/share/bash-completion/",
    "usr/share/zsh/", "usr/share/apport/", "usr/share/initramfs-tools/", "usr/lib/systemd/", "etc/init.d/",
    "etc/cron.d/", "etc/cron.daily/", "etc/logrotate.d/", "etc/ufw/", "etc/apparmor.d/", "etc/default/",
)
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class Failure(Exception):
    """A plain sentence for the user, with what to do."""


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def lists_fingerprint():
    """Changes whenever `apt-get update` brought something new; empty when there are no package lists."""
    digest = hashlib.sha256()
    count = 0
    for path in sorted(pathlib.Path("/var/lib/apt/lists").glob("*_Packages*")):
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        count += 1
    return digest.hexdigest() if count else ""


class Packages:
    """apt, pretending that the machine is empty but for a few packages that an image does without."""

    def __init__(self, cache, log):
        self.archives = pathlib.Path(cache) / "debs"
        self.archives.mkdir(parents=True, exist_ok=True)
        self.log = log

    def _options(self, assumed):
        status = self.archives / ("status-" + hashlib.sha256(" ".join(assumed).encode()).hexdigest()[:12])
        status.write_text("".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: 9999:1\nArchitecture: {architecture()}\n"
            f"Maintainer: none\nDescription: assumed\n\n" for name in assumed))
        return ["-o", f"Dir::State::status={status}", "-o", "APT::Install-Recommends=0", "-o", "Debug::NoLocking=1",
                "-o", "APT::Sandbox::User=", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]

    def resolve(self, names, assumed):
        """[(package, version)] for names and all that they depend on, sorted."""
        run = subprocess.run(["apt-get", *self._options(assumed), "-s", "install", *names], capture_output=True,
                             text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        if run.returncode:
            raise Failure(f"apt-get cannot resolve {' '.join(names)}: {run.stderr.strip().splitlines()[-1:]}. "
                          "What to do: run 'apt-get update' as root and then this again; on another Debian release "
                          "than 12 the names in tools/images/lib/recipes.py may have to follow.")
        found = []
        for line in run.stdout.splitlines():
            if line.startswith("Inst "):
                fields = line.split()
                found.append((fields[1], next(field for field in fields if field.startswith("("))[1:]))
        return sorted(found)

    def _file(self, name, version):
        escaped = version.replace(":", "%3a")
        for candidate in (architecture(), "all"):
            path = self.archives / f"{name}_{escaped}_{candidate}.deb"
            if path.exists():
                return path
        return None

    def fetch(self, pairs):
        """Paths of the .deb files, downloaded when they are not in the cache."""
        absent = [f"{name}={version}" for name, version in pairs if not self._file(name, version)]
        if absent:
            self.log(f"download {len(absent)} packages")
            run = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "download",
                                  *absent], cwd=self.archives, capture_output=True, text=True)
            if run.returncode:
                raise Failure(f"apt-get could not download packages: {run.stderr.strip()[-400:]}. What to do: check "
                              "that a Debian mirror can be reached, run 'apt-get update' as root, then this again.")
        return [self._file(name, version) for name, version in pairs]


def merged(name):
    """The path of a package's file in a system whose /bin, /sbin and /lib are links into /usr."""
    name = name[2:] if name.startswith("./") else name
    first = name.split("/", 1)[0]
    return "usr/" + name if first in MERGED else name


def wanted(name):
    if name.startswith("usr/share/doc/"):
        return name.endswith("/copyright")
    if "/gconv/" in name or name.endswith("/gconv"):
        return False
    return not name.startswith(DROPPED)


def members(deb):
    """Each (TarInfo with its final path, file object or None) of a package, in the package's order."""
    process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                name = merged(member.name)
                if name in ("", ".", "usr") or not wanted(name + ("/" if member.isdir() else "")):
                    continue
                member.name = name
                if member.islnk():
                    member.linkname = merged(member.linkname)
                yield member, archive.extractfile(member) if member.isreg() else None
    finally:
        process.stdout.close()
        if process.wait():
            raise Failure(f"dpkg-deb cannot read {deb}. What to do: delete that file and run this again.")
