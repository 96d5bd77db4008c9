"""Images that people push and pull: our face of the operator's image registry, as Docker's HTTP API V2."""
