"""Style sheets and scripts for test clients."""

from typing import ClassVar

from core.assets import LeanAssets


class SharedAssets(LeanAssets):
    """Looks for the files once: each test client has middleware of its own, and that takes longer than most requests."""

    found: ClassVar[dict] = {}

    def add_files_from_finders(self):
        if not self.found:
            super().add_files_from_finders()
            self.found.update(self.files)
        self.files = self.found
