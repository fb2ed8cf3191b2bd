"""What vmsim runs against besides its own model: vCenter endpoints and vcsim processes."""
