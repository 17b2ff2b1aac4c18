"""Layers, manifests and the OCI image layout that they are kept in (OCI image-spec 1.0)."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EPOCH = 1577836800  # 2020-01-01: what is made here, and not by a package, bears this time


class _Tee(io.RawIOBase):
    """Writes to a file and keeps the digest of what went through."""

    def __init__(self, target):
        self.target = target
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self):
        return True

    def write(self, data):
        self.digest.update(data)
        self.size += len(data)
        self.target.write(data)
        return len(data)


class LayerWriter:
    """One gzip-compressed layer. The same entries in the same order give the same bytes."""

    def __init__(self, path):
        self._path = pathlib.Path(path)
        self._file = open(self._path, "wb")
        self._packed = _Tee(self._file)
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=self._packed, mtime=0)
        self._plain = _Tee(self._gzip)
        self._tar = tarfile.open(fileobj=self._plain, mode="w|", format=tarfile.GNU_FORMAT)
        self._directories = set()
        self.names = set()

    def add(self, info, content=None):
        if info.isdir():
            if info.name in self._directories:
                return
            self._directories.add(info.name)
        self.names.add(info.name)
        info.uname = info.gname = ""
        info.pax_headers = {}
        self._tar.addfile(info, content)

    def _entry(self, path, kind, mode, owner):
        info = tarfile.TarInfo(path.strip("/"))
        info.type, info.mode, info.mtime = kind, mode, EPOCH
        info.uid, info.gid = owner
        return info

    def directory(self, path, mode=0o755, owner=(0, 0)):
        self.add(self._entry(path, tarfile.DIRTYPE, mode, owner))

    def file(self, path, content, mode=0o644, owner=(0, 0)):
        info = self._entry(path, tarfile.REGTYPE, mode, owner)
        info.size = len(content)
        self.add(info, io.BytesIO(content))

    def link(self, path, target):
        info = self._entry(path, tarfile.SYMTYPE, 0o777, (0, 0))
        info.linkname = target
        self.add(info)

    def close(self):
        """{digest, size, diff_id} of the finished layer."""
        self._tar.close()
        self._gzip.close()
        self._file.close()
        return {"digest": "sha256:" + self._packed.digest.hexdigest(), "size": self._packed.size,
                "diff_id": "sha256:" + self._plain.digest.hexdigest()}


class Layout:
    """A folder with blobs/sha256/* and index.json. Written so that a reader never sees half of a change."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.blobs = self.root / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self._replace(self.root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    @staticmethod
    def _replace(path, content):
        if path.exists() and path.read_bytes() == content:
            return
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(content)
        os.replace(temporary, path)

    def blob(self, digest):
        return self.blobs / digest.removeprefix("sha256:")

    def has(self, digest):
        return self.blob(digest).exists()

    def put_json(self, value, media_type):
        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._replace(self.blob(digest), data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def adopt(self, path, digest):
        os.replace(path, self.blob(digest))

    def index(self):
        path = self.root / "index.json"
        return json.loads(path.read_text())["manifests"] if path.exists() else []

    def set_index(self, entries):
        """entries: {image name: manifest descriptor}."""
        manifests = [{**entries[name], "annotations": {"io.containerd.image.name": name,
                                                       "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}
                     for name in sorted(entries)]
        self._replace(self.root / "index.json", json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests},
            indent=1).encode())

    def find(self, name):
        return next((entry for entry in self.index() if entry["annotations"]["io.containerd.image.name"] == name), None)

    def parts(self, descriptor):
        """Digests of an image's config and layers."""
        manifest = json.loads(self.blob(descriptor["digest"]).read_text())
        return [manifest["config"]["digest"]] + [layer["digest"] for layer in manifest["layers"]]

    def export(self, names, path):
        """An OCI archive of the named images, as `ctr images import` and podman take it."""
        entries = [entry for entry in self.index() if entry["annotations"]["io.containerd.image.name"] in names]
        needed = {}
        for entry in entries:
            for digest in [entry["digest"], *self.parts(entry)]:
                needed[digest] = self.blob(digest)
        temporary = pathlib.Path(str(path) + ".new")
        with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as archive:
            def put(name, data):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), EPOCH
                archive.addfile(info, io.BytesIO(data))
            put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            put("index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
            for digest in sorted(needed):
                put("blobs/sha256/" + digest.removeprefix("sha256:"), needed[digest].read_bytes())
        os.replace(temporary, path)

    def collect_garbage(self, kept_layers):
        keep = {digest.removeprefix("sha256:") for digest in kept_layers}
        for entry in self.index():
            keep.update(digest.removeprefix("sha256:") for digest in [entry["digest"], *self.parts(entry)])
        for path in self.blobs.iterdir():
            if path.name not in keep:
                path.unlink()
