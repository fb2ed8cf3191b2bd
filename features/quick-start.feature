Feature: Quick start
  The example of the page, applied unchanged to a namespace that has what it names.

  @S-05 @S-06 @S-29
  Scenario Outline: The example VM is powered on and gets an address
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When the example manifest is applied to namespace "demo"
    Then the request is accepted
    And VM "my-vm" is powered on within 5 minutes
    And VM "my-vm" has an IP address within 5 minutes
    And VM "my-vm" shows <field> <value>

    Examples:
      | edition | field      | value                          |
      | 2023-03 | vmMetadata | {transport: CloudInit}         |
      | 2026-08 | bootstrap  | {cloudInit: {cloudConfig: {}}} |

  @S-06
  Scenario Outline: The namespace of the command is where the example VM is made
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And namespace "other"
    When the example manifest is applied to namespace "demo"
    Then VM "my-vm" is in namespace "demo" and not in namespace "other"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-06
  Scenario Outline: Into a namespace that does not exist the example is not applied
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When the example manifest is applied to namespace "nowhere"
    Then the request is denied because of "metadata.namespace"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-05 @S-29
  Scenario: Without its image the example VM does not run
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class and a storage class, but without its image
    When the example manifest is applied to namespace "demo"
    Then VM "my-vm" has condition "VirtualMachinePrereqReady" "False" within 1 minute
    And VM "my-vm" does not run for 1 hour
