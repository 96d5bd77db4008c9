"""Cloud Native Buildpacks: from source to an image, by the lifecycle in a builder image. See docs/decisions/020."""
