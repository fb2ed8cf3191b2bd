Feature: Room, devices and lost hosts
  What a host has is given out once, and is there again when a VM leaves it.

  @S-12 @Q-10
  Scenario Outline: A VM for whose memory no host has room does not run
    Given the API of edition <edition>
    And host "esx-1" with 2Gi of memory
    And host "esx-2" with 2Gi of memory
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" does not run for 1 hour

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12 @Q-10
  Scenario Outline: A VM for whose CPUs no host has room does not run
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And class "wide" with 256 CPUs and 4Gi of memory
    When VM "db" of class "wide" is created
    Then VM "db" does not run for 1 hour

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12
  Scenario Outline: A VM that never found a host runs when another VM is powered off
    Given the API of edition <edition>
    And host "esx-1" with 6Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And running VMs "web"
    And VM "db" that waits for a host
    When VM "web" is changed to be powered off
    Then VM "db" runs on host "esx-1" within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-11 @C-08
  Scenario Outline: A device that a VM uses is not given to another
    Given the API of edition <edition>
    And hosts "esx-1" with device "<device>"
    And hosts "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "<device>"
    And running VM "trainer" of class "gpu"
    When VM "tester" of class "gpu" is created
    Then VM "tester" does not run for 1 hour

    Examples:
      | edition | device        |
      | 2023-03 | grid_a100-8c  |
      | 2023-03 | 0x10de:0x1eb8 |
      | 2026-08 | grid_a100-8c  |
      | 2026-08 | 0x10de:0x1eb8 |

  @S-03 @C-03
  Scenario Outline: VMs of different classes have each the hardware of their own
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And class "large" with 8 CPUs and 32Gi of memory
    And running VMs "web"
    When VM "db" of class "large" is created
    Then VMs "db" run within 5 minutes
    And VM "db" has 8 CPUs and 32768 MiB of memory

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-03 @Q-08
  Scenario Outline: A VM says that its class is there once it is made
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that waits for class "large"
    When class "large" with 8 CPUs and 32Gi of memory is made
    Then VM "db" has condition "<condition>" "True" within 20 minutes

    Examples:
      | edition | condition                 |
      | 2023-03 | VirtualMachinePrereqReady |
      | 2026-08 | VirtualMachineClassReady  |

  @X-02
  Scenario Outline: A running VM that is deleted is powered off before it is gone
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When VM "db" is deleted
    Then VM "db" is gone within 5 minutes
    And VM "db" was powered off once

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-10 @S-28 @needs-host-failure
  Scenario Outline: While its only host is lost, a VM does not run
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When host "esx-1" fails
    Then VM "db" does not run for 1 hour

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-24 @S-28 @needs-host-failure
  Scenario Outline: A VM that was off when its host failed stays off
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When the host of VM "db" fails
    Then VM "db" does not run for 1 day

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-24 @S-28 @needs-host-failure
  Scenario Outline: A VM that was off on a host that failed and recovered is powered on
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    And all hosts failed and recovered
    When VM "db" is changed to be powered on
    Then VM "db" runs on host "esx-1" within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-12 @S-28 @Q-10 @needs-host-failure
  Scenario Outline: A VM that is being made when its host fails runs elsewhere
    Given the API of edition <edition>
    And hosts "esx-1"
    And host "esx-2" with 32Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is being made
    When host "esx-1" fails
    Then VM "db" runs on host "esx-2" within 30 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-14
  Scenario Outline: A name of 64 letters is no label, even without a dot
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When a VM with a name of <letters> letters is created
    Then the request is accepted
    And the API gives <advice>

    Examples:
      | edition | letters | advice          |
      | 2023-03 | 63      | no warning      |
      | 2023-03 | 64      | a warning       |
      | 2026-08 | 63      | no warning      |
      | 2026-08 | 64      | a warning       |

  @S-15 @S-17
  Scenario Outline: Everything that a new VM lacks is named at once
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created without imageName and className
    Then the request is denied because of both "<image>" and "spec.className"

    Examples:
      | edition | image          |
      | 2023-03 | spec.imageName |
      | 2026-08 | spec.image     |

  @Z-06
  Scenario Outline: A VM that is placed carries the label of its zone
    Given the API of edition <edition>
    And host "esx-1" in zone "zone-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VMs "db" run within 5 minutes
    And VM "db" carries zone label "zone-1"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |
