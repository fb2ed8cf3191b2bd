Feature: VMs that cannot be live-migrated
  A hardware dependency may keep a VM from live migration. It is then powered off, and powered on
  again on a compatible Node. When there is none, its controller keeps trying.

  @S-11 @C-09
  Scenario Outline: Maintenance powers a VM with a device off and on again elsewhere
    Given the API of edition 2023-03
    And hosts "esx-1" and "esx-2" with device "<device>"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "<device>"
    And running VM "trainer" of class "gpu"
    When the host of VM "trainer" enters maintenance
    Then VMs "trainer" run on other hosts within 30 minutes
    And VM "trainer" was powered off once and on once

    Examples:
      | device        |
      | grid_a100-8c  |
      | 0x10de:0x1eb8 |

  @S-11
  Scenario Outline: By hand, a VM with a device is powered off and runs again elsewhere
    Given the API of edition 2026-08
    And hosts "esx-1" and "esx-2" with device "<device>"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "<device>"
    And running VM "trainer" of class "gpu"
    And the host of VM "trainer" is asked to enter maintenance
    When the administrator powers off VM "trainer"
    Then VMs "trainer" run on other hosts within 30 minutes

    Examples:
      | device        |
      | grid_a100-8c  |
      | 0x10de:0x1eb8 |

  @S-11 @C-10
  Scenario: The later platform does not power off a VM with a device on its own
    Given the API of edition 2026-08
    And hosts "esx-1" and "esx-2" with device "grid_a100-8c"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "grid_a100-8c"
    And running VM "trainer" of class "gpu"
    When the host of VM "trainer" enters maintenance
    Then VM "trainer" stays on its host for 1 day
    And VM "trainer" kept running

  @S-11 @C-08
  Scenario Outline: A VM with a device goes only to a host that has the device
    Given the API of edition 2023-03
    And hosts "esx-1" and "esx-2" with device "<device>"
    And hosts "esx-3", "esx-4" and "esx-5"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "<device>"
    And running VM "trainer" of class "gpu"
    When host "esx-1" enters maintenance
    Then VM "trainer" runs on host "esx-2" within 30 minutes

    Examples:
      | device        |
      | grid_a100-8c  |
      | 0x10de:0x1eb8 |

  @S-10 @S-11
  Scenario Outline: Where vCenter live-migrates a vGPU, the VM with a vGPU keeps running
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2" with device "grid_a100-8c"
    And vCenter live-migrates VMs with a vGPU
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "grid_a100-8c"
    And running VM "trainer" of class "gpu"
    When the host of VM "trainer" enters maintenance
    Then VM "trainer" is live-migrated within 15 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12
  Scenario: Without a compatible host the VM waits, and runs when its host is open again
    Given the API of edition 2023-03
    And hosts "esx-1" with device "grid_a100-8c"
    And hosts "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "grid_a100-8c"
    And VM "trainer" of class "gpu" that lost its host to maintenance
    When host "esx-1" leaves maintenance
    Then VM "trainer" runs on host "esx-1" within 20 minutes

  @S-12 @C-08
  Scenario: Without a compatible host the VM is not run on another
    Given the API of edition 2023-03
    And hosts "esx-1" with device "grid_a100-8c"
    And hosts "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "grid_a100-8c"
    And running VM "trainer" of class "gpu"
    When host "esx-1" enters maintenance
    Then VM "trainer" is powered off, and stays so for 1 day

  @S-12 @needs-new-hosts
  Scenario: The VM runs when a compatible host joins
    Given the API of edition 2023-03
    And hosts "esx-1" with device "grid_a100-8c"
    And host "esx-9" with device "grid_a100-8c" outside the cluster
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "grid_a100-8c"
    And VM "trainer" of class "gpu" that lost its host to maintenance
    When host "esx-9" joins the cluster
    Then VM "trainer" runs on host "esx-9" within 20 minutes

  @S-12 @needs-new-hosts @Q-01 @Q-10
  Scenario Outline: A VM that never found a host runs when one with room joins
    Given the API of edition <edition>
    And host "esx-1" with 2Gi of memory
    And host "esx-9" with 64Gi of memory outside the cluster
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that waits for a host
    When host "esx-9" joins the cluster
    Then VM "db" runs on host "esx-9" within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12 @Q-01 @Q-10
  Scenario Outline: A VM that never found a host runs when another VM makes room
    Given the API of edition <edition>
    And host "esx-1" with 6Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And running VMs "web"
    And VM "db" that waits for a host
    When VM "web" is deleted
    Then VM "db" runs on host "esx-1" within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12 @needs-new-hosts @Q-01 @Q-10
  Scenario Outline: After a month of trying the controller still has not given up
    Given the API of edition <edition>
    And host "esx-1" with 2Gi of memory
    And host "esx-9" with 64Gi of memory outside the cluster
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that has waited for a host for 30 days
    When host "esx-9" joins the cluster
    Then VM "db" runs on host "esx-9" within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12 @S-28 @needs-host-failure
  Scenario Outline: A VM with a device whose host failed runs when the host recovers
    Given the API of edition <edition>
    And hosts "esx-1" with device "0x10de:0x1eb8"
    And hosts "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "0x10de:0x1eb8"
    And VM "trainer" of class "gpu" that lost its host to a failure
    When host "esx-1" recovers
    Then VM "trainer" runs on host "esx-1" within 45 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12
  Scenario Outline: Of two VMs that wait, one runs when there is room for one
    Given the API of edition <edition>
    And host "esx-1" with 6Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And running VMs "web"
    And VM "db" that waits for a host
    And VM "mail" that waits for a host
    When VM "web" is deleted
    Then exactly one of VMs "db" and "mail" runs within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |
