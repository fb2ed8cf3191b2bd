Feature: Names
  The name of a VM is a DNS subdomain. A DNS label is better, because the guest's host name is
  made from it.

  @S-13 @N-01
  Scenario Outline: A VM whose name is a DNS subdomain is created
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "<name>" is created
    Then the request is accepted
    And VMs "<name>" run within 5 minutes

    Examples:
      | edition | name         |
      | 2023-03 | db           |
      | 2023-03 | 1-db         |
      | 2023-03 | db.example.x |
      | 2026-08 | db           |
      | 2026-08 | 1-db         |
      | 2026-08 | db.example.x |

  @S-13 @N-01
  Scenario Outline: A VM whose name is no DNS subdomain is denied
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "<name>" is created
    Then the request is denied because of "metadata.name"
    And VM "<name>" does not exist

    Examples:
      | edition | name |
      | 2023-03 | Db   |
      | 2023-03 | d_b  |
      | 2023-03 | -db  |
      | 2023-03 | db-  |
      | 2023-03 | .db  |
      | 2023-03 | d..b |
      | 2026-08 | Db   |
      | 2026-08 | d_b  |
      | 2026-08 | -db  |
      | 2026-08 | db-  |
      | 2026-08 | .db  |
      | 2026-08 | d..b |

  @S-13 @N-01
  Scenario Outline: A name has at most 253 characters
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When a VM with a name of 254 characters is created
    Then the request is denied because of "metadata.name"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-13
  Scenario Outline: A name of 253 characters is accepted
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When a VM with a name of 253 characters is created
    Then the request is accepted

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-14
  Scenario Outline: A name that is no DNS label is accepted with a warning
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db.example" is created
    Then the request is accepted
    And the API warns about "host name"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-14
  Scenario Outline: A name of more than 63 characters is no DNS label
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When a VM with a name of 64 characters is created
    Then the request is accepted
    And the API warns about "host name"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-14
  Scenario Outline: A name that is a DNS label gives no warning
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db-1" is created
    Then the request is accepted
    And the API gives no warning

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |
