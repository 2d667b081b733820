"""Tencent Cloud on a developer's own machine: ``python -m local``. Nothing of this package is deployed."""
