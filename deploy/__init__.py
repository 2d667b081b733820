"""Builds the package for Tencent Cloud SCF and checks its configuration, on a developer's machine only."""
