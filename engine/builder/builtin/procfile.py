"""An app that is ready to run: all it needs is its Procfile."""

from engine.builder.context import Context


class Procfile:
    """Runs what the Procfile says and builds nothing."""

    LOOKS_FOR = "Procfile (commands to run as they are)"

    def detect(self, build: Context) -> str | None:
        return "Procfile" if (build.root / "Procfile").is_file() else None

    def compile(self, build: Context) -> None:
        build.detail("Nothing to build: the files go into the slug as they are.")

    def release(self, build: Context) -> dict[str, str]:
        return {}
