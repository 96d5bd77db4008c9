"""Where dynos can run. Each driver does what `engine.spec.Driver` says; `tests/engine/driver_contract.py` holds it to that."""
