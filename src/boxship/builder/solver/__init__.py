"""Walks the graph: cache keys, scheduling, results."""

from boxship.builder.solver.cache import BuildCache
from boxship.builder.solver.results import Layer, Result, Worker
from boxship.builder.solver.solver import Clock, Solver

__all__ = ["BuildCache", "Clock", "Layer", "Result", "Solver", "Worker"]
