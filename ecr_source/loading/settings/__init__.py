"""What a run is told: each setting, where it comes from, and which of them a dataset keeps."""
