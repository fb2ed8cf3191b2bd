"""Every mutant there is, by the part that is at fault."""

from features.mutants import Mutant, api, cluster, editions, plant, updates, vmrole

MUTANTS: tuple[Mutant, ...] = (
    *updates.MUTANTS,
    *api.MUTANTS,
    *editions.MUTANTS,
    *vmrole.MUTANTS,
    *cluster.MUTANTS,
    *plant.MUTANTS,
)
