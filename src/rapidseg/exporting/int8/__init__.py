"""INT8 model files: channel equalization, calibration, fallback layers and verification."""
