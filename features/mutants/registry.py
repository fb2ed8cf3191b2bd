"""Every mutant there is, by the part that is at fault."""

from features.mutants import (
    Mutant,
    api,
    bounds,
    cluster,
    editions,
    hardware,
    life,
    plant,
    updates,
    vmrole,
)

MUTANTS: tuple[Mutant, ...] = (
    *updates.MUTANTS,
    *api.MUTANTS,
    *bounds.MUTANTS,
    *editions.MUTANTS,
    *vmrole.MUTANTS,
    *cluster.MUTANTS,
    *hardware.MUTANTS,
    *life.MUTANTS,
    *plant.MUTANTS,
)
