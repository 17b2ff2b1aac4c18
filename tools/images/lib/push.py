"""Puts the images of an OCI layout into a registry (distribution API, version 2); what is there is not sent again."""

import http.client
import json
import urllib.parse


class PushError(Exception):
    """The registry answered what the protocol does not foresee."""


class Registry:
    def __init__(self, host, port):
        self._connection = http.client.HTTPConnection(host, port, timeout=60)

    def close(self):
        self._connection.close()

    def _call(self, method, path, body=None, headers=None):
        self._connection.request(method, path, body=body, headers=headers or {})
        response = self._connection.getresponse()
        response.read()
        return response

    def _expect(self, response, status, what):
        if response.status != status:
            raise PushError(f"{what}: the registry answered {response.status} {response.reason}")

    def has_manifest(self, repository, reference, media_type):
        response = self._call("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": media_type})
        return response.getheader("Docker-Content-Digest") if response.status == 200 else None

    def push_blob(self, repository, digest, path):
        if self._call("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
            return
        started = self._call("POST", f"/v2/{repository}/blobs/uploads/")
        self._expect(started, 202, f"upload to {repository}")
        target = urllib.parse.urlsplit(started.getheader("Location"))
        query = urllib.parse.parse_qsl(target.query) + [("digest", digest)]
        with open(path, "rb") as content:
            size = path.stat().st_size
            done = self._call("PUT", f"{target.path}?{urllib.parse.urlencode(query)}", content,
                              {"Content-Type": "application/octet-stream", "Content-Length": str(size)})
        self._expect(done, 201, f"blob {digest}")

    def push_manifest(self, repository, tag, data, media_type):
        done = self._call("PUT", f"/v2/{repository}/manifests/{tag}", data, {"Content-Type": media_type})
        self._expect(done, 201, f"manifest {repository}:{tag}")


def push_all(layout, registry):
    """Number of tags that were new. Images of several hosts share one registry: only the path counts in it."""
    pushed = 0
    for entry in layout.index():
        reference = entry["annotations"]["io.containerd.image.name"]
        repository, tag = reference.split("/", 1)[1].rsplit(":", 1)
        if registry.has_manifest(repository, tag, entry["mediaType"]) == entry["digest"]:
            continue
        for digest in layout.parts(entry):
            registry.push_blob(repository, digest, layout.blob(digest))
        data = layout.blob(entry["digest"]).read_bytes()
        json.loads(data)
        registry.push_manifest(repository, tag, data, entry["mediaType"])
        pushed += 1
    return pushed
