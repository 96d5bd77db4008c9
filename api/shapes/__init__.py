"""What the API answers: one typed shape per resource, made from our rows by its `of`. The names are the published
schema's; fields that Slipway has no use for carry their neutral value."""
