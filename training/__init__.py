"""Train, calibrate, evaluate: everything that makes an artifact and says how good it is."""
