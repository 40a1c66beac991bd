"""Instructions to graph."""

from boxship.builder.convert.converter import Options, Resolver, convert
from boxship.builder.convert.plan import Plan, StagePlan, Step

__all__ = ["Options", "Plan", "Resolver", "StagePlan", "Step", "convert"]
