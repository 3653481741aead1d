"""Trained bundles; see README.md."""
