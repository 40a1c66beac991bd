"""Carries out one operation on real snapshots."""
