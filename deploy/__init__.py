"""What makes a package for Tencent Cloud SCF and checks how it is deployed. Runs on a developer's machine only."""
