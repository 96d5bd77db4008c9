"""A builder of Cloud Native Buildpacks that is made here: the stack's build image, two buildpacks of the tests' own, and a
stand-in for the lifecycle. No official builder was ever run: no registry can be reached from where the tests run."""

import io
import json
import tarfile
from pathlib import Path

FILES = Path(__file__).parent / "fixtures" / "cnb"
UID = 1777
PACKS = {"hello": ("slipway-tests/hello", "1.2.3"), "procfile": ("slipway-tests/procfile", "2.0.0")}
HELLO = """import http.server, os

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        told = [open("/workspace/said").read().strip(), os.environ.get("GREETING"), os.environ.get("COLOUR")]
        self.wfile.write(" / ".join(map(str, told)).encode())

http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
"""


def labels(stack, *, apis=("0.11", "0.12", "0.14")):
    """What such a builder says of itself."""
    told = {
        "stack": {"runImage": {"image": stack}},
        "images": [{"image": stack}],
        "buildpacks": [{"id": id, "version": version} for id, version in PACKS.values()],
        "lifecycle": {"version": "0.20.0", "apis": {"platform": {"deprecated": [], "supported": list(apis)}}},
    }
    return {"io.buildpacks.builder.metadata": json.dumps(told)}


def make_builder(engine, name):
    """Make it on the engine, to be called `name`."""
    copies = "\n".join(
        f"COPY --chown=0:0 buildpacks/{folder} /cnb/buildpacks/{id.replace('/', '_')}/{version}"
        for folder, (id, version) in PACKS.items()
    )
    lines = f"""FROM {engine.stack}-build
RUN useradd --uid {UID} --create-home builder
COPY lifecycle /cnb/lifecycle/creator
COPY lifecycle /cnb/lifecycle/launcher
COPY order.toml /cnb/order.toml
{copies}
ENV CNB_USER_ID={UID} CNB_GROUP_ID={UID}
USER {UID}:{UID}
"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as context:
        context.add(FILES, arcname=".")
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(lines)
        context.addfile(entry, io.BytesIO(lines.encode()))
    out.seek(0)
    made, _ = engine.client.images.build(
        fileobj=out, custom_context=True, tag=name, labels=labels(engine.stack), rm=True, forcerm=True
    )
    return made
