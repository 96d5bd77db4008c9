"""Builds for tests: source given as a mapping, output and steps kept."""

import io
import itertools
import os
import tarfile
from dataclasses import replace
from pathlib import Path

from engine.builder import BuildLimits, BuildSpec, build
from engine.builder.slugs import SlugStore

BUILDPACKS = Path(__file__).parents[1] / "fixtures" / "buildpacks"
LIMITS = BuildLimits(seconds=60, memory=512 * 2**20)
numbers = itertools.count(1)


def tar(files, mode="w"):
    """A tar archive of {name: text, bytes or TarInfo}; names that end in a slash are folders."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content, io.BytesIO(bytes(content.size)))
                continue
            entry = tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content
            entry.size, entry.mode = len(data), 0o755 if data.startswith(b"#!") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def entry(name, kind, **fields):
    """One odd entry of a tar archive."""
    found = tarfile.TarInfo(name)
    found.type = kind
    for field, value in fields.items():
        setattr(found, field, value)
    return found


class Workshop:
    """One app's place to build in."""

    stack = "slipway-24"

    def __init__(self, root: Path, *, slot=7, build=build):
        self.root, self.slot, self.place = root, slot, build
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o711)
        self.slugs = SlugStore(root / "slugs")
        self.lines, self.steps, self.result = [], [], None

    @property
    def output(self):
        return b"\n".join(self.lines).decode("utf-8", "replace")

    def spec(
        self,
        files,
        *,
        env=None,
        buildpacks=(),
        app="app",
        cache="",
        fresh=False,
        image="",
        test=False,
        command="",
        **limits,
    ):
        number = next(numbers)
        source = self.root / f"source-{number}.tar"
        source.write_bytes(files if isinstance(files, bytes) else tar(files))
        return BuildSpec(
            id=f"test-{os.getpid()}-{number}",
            app=app,
            source=source,
            env=env or {},
            cache=self.root / "caches" / (cache or app),
            buildpacks=list(buildpacks),
            stack=self.stack,
            slot=self.slot,
            limits=replace(LIMITS, **limits),
            work=self.root / "work" / str(number),
            fresh=fresh,
            image=image,
            test=test,
            command=command,
        )

    def build(self, files, *, cancelled=lambda: False, outbound=None, **options):
        self.lines, self.steps = [], []
        self.last = self.spec(files, **options)
        self.result = self.place(
            self.last,
            slugs=self.slugs,
            write=self.lines.append,
            cancelled=cancelled,
            step=self.steps.append,
            outbound=outbound,
            buildpacks=BUILDPACKS,
        )
        return self.result

    def tree(self):
        return self.slugs.tree(self.result.digest)

    def look(self, script, **options):
        """Run a script as the compile step of a buildpack, the source holding nothing else."""
        return self.build({"look": script, "Procfile": "web: true"}, buildpacks=["two"], **options)
