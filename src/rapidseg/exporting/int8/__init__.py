"""INT8 model files: calibration, channel equalization, fallback layers and checks."""
