"""The measures, as pure functions: ids and numbers in, numbers out. No model, no file, no torch but in `sharpness`."""
