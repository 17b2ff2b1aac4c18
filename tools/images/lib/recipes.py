"""What is in each image. A layer is a set of Debian packages and what their install scripts would have done."""

import dataclasses
import pathlib

FILES = pathlib.Path(__file__).resolve().parent.parent / "files"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Packages that only the life of a whole system asks for: assumed to be there, so that apt leaves them and theirs out.
ASSUMED = ["adduser", "dbus", "debconf", "dpkg", "init-system-helpers", "libdebconfclient0", "lsb-base", "mount",
           "passwd", "perl", "perl-base", "perl-modules-5.36", "sysvinit-utils", "systemd", "ucf", "usrmerge"]
ASSUMED_JAVA = ["ca-certificates-java", "fontconfig-config", "java-common", "libasound2", "libavahi-client3",
                "libcups2", "libglib2.0-0", "libnss3", "libpcsclite1", "util-linux-extra"]


@dataclasses.dataclass
class Layer:
    """prepare(writer, packages) adds files; `over` names the layers below, whose packages are not taken again."""
    name: str
    packages: list
    over: list = dataclasses.field(default_factory=list)
    assumed: list = dataclasses.field(default_factory=lambda: list(ASSUMED))
    prepare: object = None


@dataclasses.dataclass
class Image:
    """names: full references. version_of: the package whose version the image's label tells."""
    names: list
    layers: list
    config: dict
    version_of: str


def read(*parts):
    return FILES.joinpath(*parts).read_bytes()


def accounts(*users):
    """(passwd, group): the base set of Debian and the given (name, id, home)."""
    passwd = ["root:x:0:0:root:/root:/bin/bash", "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
              "bin:x:2:2:bin:/bin:/usr/sbin/nologin", "sys:x:3:3:sys:/dev:/usr/sbin/nologin",
              "mail:x:8:8:mail:/var/mail:/usr/sbin/nologin",
              "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin",
              "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]
    group = ["root:x:0:", "daemon:x:1:", "bin:x:2:", "sys:x:3:", "adm:x:4:", "tty:x:5:", "disk:x:6:", "mail:x:8:",
             "www-data:x:33:", "shadow:x:42:", "staff:x:50:", "users:x:100:", "nogroup:x:65534:"]
    for name, number, home in users:
        passwd.append(f"{name}:x:{number}:{number}:{name}:{home}:/usr/sbin/nologin")
        group.append(f"{name}:x:{number}:")
    return ("\n".join(passwd) + "\n").encode(), ("\n".join(group) + "\n").encode()


def put_accounts(writer, *users):
    passwd, group = accounts(*users)
    writer.file("etc/passwd", passwd)
    writer.file("etc/group", group)


def root_folders(writer):
    for directory in ("bin", "sbin", "lib", "lib64"):
        writer.directory("usr/" + directory)
        writer.link(directory, "usr/" + directory)
    writer.directory("tmp", 0o1777)
    writer.directory("var/tmp", 0o1777)
    writer.directory("root", 0o700)
    for directory in ("dev", "proc", "run", "sys", "etc", "home", "mnt"):
        writer.directory(directory)
    writer.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                                     b"networks: files\nprotocols: files\nservices: files\n")


def prepare_base(writer, packages):
    root_folders(writer)
    put_accounts(writer)
    writer.link("usr/bin/awk", "mawk")
    if "usr/bin/sh" not in writer.names:
        writer.link("usr/bin/sh", "dash")
    for source, target in (("profile", "etc/profile"), ("dot.bashrc", "root/.bashrc"),
                           ("dot.profile", "root/.profile")):
        writer.file(target, packages.content("base-files", "usr/share/base-files/" + source))
    bundle = packages.contents("ca-certificates", "usr/share/ca-certificates/mozilla/")
    writer.file("etc/ssl/certs/ca-certificates.crt", b"".join(bundle[name] for name in sorted(bundle)))


def prepare_nginx(writer, packages):
    put_accounts(writer, ("nginx", 101, "/nonexistent"))
    writer.file("etc/nginx/nginx.conf", read("nginx", "nginx.conf"))
    writer.file("etc/nginx/conf.d/default.conf", read("nginx", "default.conf"))
    writer.file("docker-entrypoint.sh", read("nginx", "docker-entrypoint.sh"), 0o755)
    writer.directory("docker-entrypoint.d")
    writer.file("usr/share/nginx/html/index.html", read("nginx", "index.html"))
    writer.file("usr/share/nginx/html/50x.html", read("nginx", "50x.html"))
    writer.directory("var/log/nginx")
    writer.link("var/log/nginx/access.log", "/dev/stdout")
    writer.link("var/log/nginx/error.log", "/dev/stderr")
    for directory in ("body", "fastcgi", "proxy", "scgi", "uwsgi"):
        writer.directory("var/lib/nginx/" + directory, 0o700, (101, 0))


def prepare_redis(writer, packages):
    put_accounts(writer, ("redis", 999, "/data"))
    writer.file("usr/local/bin/docker-entrypoint.sh", read("redis", "docker-entrypoint.sh"), 0o755)
    writer.directory("data", 0o755, (999, 999))


def prepare_tomcat(writer, packages):
    home = "usr/local/tomcat"
    put_accounts(writer)
    java = next(name for name in packages.names("openjdk-17-jre-headless") if name.endswith("/bin/java"))
    writer.link("usr/bin/java", "/" + java)
    for directory in ("", "/conf", "/logs", "/temp", "/webapps", "/work"):
        writer.directory(home + directory)
    for directory in ("bin", "lib"):
        writer.link(f"{home}/{directory}", f"/usr/share/tomcat10/{directory}")
    for package in ("tomcat10", "tomcat10-common"):
        for prefix in ("usr/share/tomcat10/etc/", "etc/tomcat10/"):
            for name, content in packages.contents(package, prefix).items():
                writer.file(f"{home}/conf/{name}", content)
    for name, content in packages.contents("tomcat10", "usr/share/tomcat10-root/default_root/").items():
        writer.file(f"{home}/webapps/ROOT/{name}", content)


def prepare_busybox(writer, packages):
    root_folders(writer)
    put_accounts(writer)
    present = writer.names
    for applet in packages.run("busybox", "usr/bin/busybox", ["--list-full"]).split():
        path = applet if applet.startswith("usr/") else "usr/" + applet
        if path not in present:
            writer.link(path, "/usr/bin/busybox")


def prepare_pause(writer, packages):
    writer.file("pause", packages.compiled("pause.c"), 0o755)


BASE = Layer("base", ["base-files", "bash", "coreutils", "curl", "ca-certificates", "dash", "debianutils", "findutils",
                      "grep", "gzip", "hostname", "iproute2", "libc-bin", "mawk", "ncurses-base", "netbase", "procps",
                      "sed", "tar", "util-linux"], prepare=prepare_base)
NGINX = Layer("nginx", ["nginx"], [BASE], prepare=prepare_nginx)
REDIS = Layer("redis", ["redis-server"], [BASE], prepare=prepare_redis)
TOMCAT = Layer("tomcat", ["tomcat10", "openjdk-17-jre-headless"], [BASE], ASSUMED + ASSUMED_JAVA, prepare_tomcat)
BUSYBOX = Layer("busybox", ["busybox", "libc6", "libgcc-s1"], prepare=prepare_busybox)
PAUSE = Layer("pause", [], prepare=prepare_pause)

IMAGES = [
    Image(["registry.k8s.io/pause:" + tag for tag in ("3.6", "3.8", "3.9", "3.10")] + ["orlop.dev/pause:1"], [PAUSE],
          {"Entrypoint": ["/pause"], "Env": [PATH], "User": "65535:65535", "WorkingDir": "/"}, ""),
    Image(["docker.io/library/busybox:" + tag for tag in ("latest", "1.28", "1.35", "1.36")], [BUSYBOX],
          {"Cmd": ["sh"], "Env": [PATH]}, "busybox"),
    Image(["docker.io/library/nginx:" + tag for tag in ("latest", "1.14.2", "1.16.1", "1.25", "stable")], [BASE, NGINX],
          {"Entrypoint": ["/docker-entrypoint.sh"], "Cmd": ["nginx", "-g", "daemon off;"],
           "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT", "Env": [PATH, "NGINX_VERSION={version}"]}, "nginx"),
    Image(["docker.io/library/redis:" + tag for tag in ("latest", "7", "7.0")], [BASE, REDIS],
          {"Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["redis-server"], "ExposedPorts": {"6379/tcp": {}},
           "Volumes": {"/data": {}}, "WorkingDir": "/data", "Env": [PATH, "REDIS_VERSION={version}"]}, "redis-server"),
    Image(["docker.io/library/tomcat:" + tag for tag in ("latest", "8.5.68", "10")], [BASE, TOMCAT],
          {"Cmd": ["catalina.sh", "run"], "ExposedPorts": {"8080/tcp": {}}, "WorkingDir": "/usr/local/tomcat",
           "Env": ["PATH=/usr/local/tomcat/bin:" + PATH.removeprefix("PATH="), "CATALINA_HOME=/usr/local/tomcat",
                   "JAVA_HOME=/usr/lib/jvm/java-17-openjdk-{architecture}", "TOMCAT_VERSION={version}",
                   "LANG=C.UTF-8"]}, "tomcat10"),
]
