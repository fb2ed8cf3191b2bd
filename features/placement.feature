Feature: Staying on a Node and leaving it
  A VM stays on its Node until it is deleted or the platform reschedules it, because a failure or
  a planned maintenance takes the Node's hypervisor offline.

  @S-09 @needs-new-hosts
  Scenario Outline: A VM stays where it is when an empty, larger host joins
    Given the API of edition <edition>
    And host "esx-1" with 16Gi of memory
    And host "esx-2" with 512Gi of memory outside the cluster
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db" and "web"
    When host "esx-2" joins the cluster
    Then VM "db" stays on its host for 1 day
    And VM "web" runs on the same host

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-09
  Scenario Outline: A VM stays where it is when another host enters maintenance
    Given the API of edition <edition>
    And hosts "esx-1", "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db" and "web"
    When the host of VM "web" enters maintenance
    Then VM "db" stays on its host for 1 hour
    And VM "db" kept running

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-09 @needs-host-failure
  Scenario Outline: A VM stays where it is when another host fails
    Given the API of edition <edition>
    And hosts "esx-1", "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db" and "web"
    When the host of VM "web" fails
    Then VM "db" stays on its host for 1 hour
    And VM "db" kept running

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-09
  Scenario Outline: A VM that moved does not go back when its old host is open again
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    And the host of VM "db" was emptied and is in maintenance
    When the host in maintenance leaves it
    Then VM "db" stays on its host for 1 day

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10 @S-28
  Scenario Outline: Maintenance live-migrates the VMs of the host
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When the host of VM "db" enters maintenance
    Then VMs "db" run on other hosts within 15 minutes
    And VM "db" kept running
    And the host that VM "db" left is in maintenance within 5 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10
  Scenario Outline: A live migration keeps the address of the VM
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When the host of VM "db" enters maintenance
    Then VMs "db" run on other hosts within 15 minutes
    And VM "db" kept its address and its identity

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10
  Scenario Outline: A host that is full of VMs is emptied
    Given the API of edition <edition>
    And host "esx-1" with 32Gi of memory
    And host "esx-2" with 32Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And running VMs "a", "b", "c", "d", "e", "f" and "g"
    When host "esx-1" enters maintenance
    Then host "esx-1" is in maintenance within 15 minutes
    And VMs "a", "b", "c", "d", "e", "f" and "g" run on host "esx-2" within 15 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10
  Scenario Outline: Without another host that can take the VM, maintenance waits and the VM runs on
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When host "esx-1" enters maintenance
    Then host "esx-1" is not in maintenance for 1 hour
    And VM "db" runs on the same host
    And VM "db" kept running

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10 @S-28 @needs-host-failure
  Scenario Outline: The VMs of a failed host run on other hosts
    Given the API of edition <edition>
    And hosts "esx-1", "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "a", "b", "c", "d", "e" and "f"
    When the host of VM "a" fails
    Then VMs "a" run on other hosts within 15 minutes
    And VMs "a", "b", "c", "d", "e" and "f" run within 15 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-09 @S-28 @needs-host-failure
  Scenario Outline: A VM that was restarted elsewhere stays there when its old host recovers
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    And the host of VM "db" failed, and the VM runs elsewhere
    When the failed host recovers
    Then VM "db" stays on its host for 1 day

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-09 @S-24
  Scenario Outline: A powered off VM stays where it is, and does not hold up maintenance
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When the host of VM "db" enters maintenance
    Then the host that VM "db" left is in maintenance within 5 minutes
    And VM "db" does not run for 1 day

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10 @S-24
  Scenario Outline: A powered off VM whose host is in maintenance is powered on elsewhere
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    And the host of VM "db" is asked to enter maintenance
    When VM "db" is changed to be powered on
    Then VMs "db" run on other hosts within 15 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10
  Scenario Outline: A VM that is being made when its host enters maintenance runs elsewhere
    Given the API of edition <edition>
    And hosts "esx-1"
    And host "esx-2" with 32Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is being made
    When host "esx-1" enters maintenance
    Then VM "db" runs on host "esx-2" within 15 minutes
    And host "esx-1" is in maintenance within 5 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10 @needs-host-failure
  Scenario Outline: A VM whose live migration fails with the other host runs on where it was
    Given the API of edition <edition>
    And hosts "esx-1"
    And host "esx-2" with 32Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    And the host of VM "db" has just begun to enter maintenance
    When host "esx-2" fails
    Then VM "db" stays on its host for 1 hour

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-28 @needs-host-failure
  Scenario Outline: After all hosts failed, the VMs run when the hosts recover
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db" and "web"
    And all hosts failed
    When all hosts recover
    Then VMs "db" and "web" run within 45 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-24
  Scenario Outline: A VM that was powered off past the API is powered on again
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When the administrator powers off VM "db"
    Then VM "db" was powered off and is on again within 15 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |
