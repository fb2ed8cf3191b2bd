Feature: Life cycle
  A VirtualMachine resource is a VM on a host: creating, changing and deleting the one does the
  same to the other.

  @S-01 @S-02 @S-07
  Scenario Outline: A created VM is placed on a host and powered on
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then the request is accepted
    And VM "db" is powered on within 5 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-08 @T-04
  Scenario Outline: The Node that a VM reports is the host that holds it
    Given the API of edition <edition>
    And hosts "esx-1", "esx-2" and "esx-3"
    And namespace "demo" with a class, an image and a storage class
    When VMs "db", "web" and "mail" are created
    Then VMs "db", "web" and "mail" run within 5 minutes
    And the Node of VM "db" is the host that holds it
    And the Node of VM "web" is the host that holds it

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-01 @S-02 @T-05
  Scenario Outline: A VM that is created off exists on a host without running
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with powerState "<word>"
    Then VM "db" is powered off within 5 minutes
    And VM "db" does not run for 1 hour

    Examples:
      | edition | word       |
      | 2023-03 | poweredOff |
      | 2026-08 | PoweredOff |

  @S-02 @P-06 @T-05
  Scenario: A VM that is changed to be suspended is suspended on its host
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When VM "db" is changed to be suspended
    Then VM "db" is suspended within 5 minutes

  @S-02 @S-09 @N-12 @X-02
  Scenario Outline: A deleted VM is gone from the API and from its host
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When VM "db" is deleted
    Then VM "db" is gone within 5 minutes

    Examples:
      | edition | state       |
      | 2023-03 | powered on  |
      | 2023-03 | powered off |
      | 2026-08 | powered on  |
      | 2026-08 | powered off |

  @S-02 @N-12
  Scenario Outline: A VM that waits for a host can be deleted
    Given the API of edition <edition>
    And host "esx-1" with 2Gi of memory
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that waits for a host
    When VM "db" is deleted
    Then VM "db" is gone within 20 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-02
  Scenario Outline: The name of a deleted VM can be used again
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that was running and is deleted
    When VM "db" is created
    Then the request is accepted
    And VMs "db" run within 5 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |
