"""How data sets lie on disk: CamVid, Cityscapes, and folders described by a YAML file."""
