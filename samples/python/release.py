"""The release phase: runs once for each release, before its dynos start. Exit with an error to stop the release."""

import os
import time

print(f"Preparing {os.environ.get('SLIPWAY_RELEASE_VERSION', 'the release')}", flush=True)
for step in ("Checking the configuration", "Migrating the (imaginary) database"):
    print(f"  {step} ...", flush=True)
    time.sleep(0.2)
if os.environ.get("FAIL_RELEASE"):
    raise SystemExit("FAIL_RELEASE is set, so this release fails. The one before it goes on serving.")
print("Done", flush=True)
