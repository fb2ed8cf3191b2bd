Feature: Updating a VM
  Which fields can be changed depends on the field, on the power state, and on whether the field
  has a value already. The tables of the page, row by row.

  @S-21 @S-22 @M-01 @M-02 @M-06
  Scenario Outline: The image name cannot be changed
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is <state>
    When imageName of VM "db" is changed to "<image>"
    Then the request is denied because of "spec.imageName"
    And VM "db" still has its imageName

    Examples:
      | edition | state       | image                 |
      | 2023-03 | powered on  | photon5               |
      | 2023-03 | powered off | photon5               |
      | 2026-08 | powered on  | vmi-00000000000000005 |
      | 2026-08 | powered off | vmi-00000000000000005 |

  @S-21 @S-23 @M-02
  Scenario Outline: The class name cannot be changed
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is <state>
    When className of VM "db" is changed to "another-class"
    Then the request is denied because of "spec.className"
    And VM "db" still has its className

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @S-21 @S-23 @M-01
  Scenario Outline: The later page lets the class name be changed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is <state>
    When className of VM "db" is changed to "another-class"
    Then the request is accepted

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @S-21 @S-24 @M-01 @T-05
  Scenario Outline: The power state can be changed
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When VM "db" is changed to be <other>
    Then the request is accepted
    And VM "db" is <other> within 5 minutes

    Examples:
      | edition | state       | other       |
      | 2023-03 | powered on  | powered off |
      | 2023-03 | powered off | powered on  |
      | 2026-08 | powered on  | powered off |
      | 2026-08 | powered off | powered on  |
      | 2026-08 | powered on  | suspended   |

  @S-25 @Z-01
  Scenario Outline: The zone label is the zone in which a new VM is placed
    Given the API of edition <edition>
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    When VM "db" is created with zone label "<zone>"
    Then VMs "db" run within 5 minutes
    And VM "db" is in zone "<zone>"

    Examples:
      | edition | zone   |
      | 2023-03 | zone-1 |
      | 2023-03 | zone-2 |
      | 2026-08 | zone-1 |
      | 2026-08 | zone-2 |

  @S-21 @S-25
  Scenario Outline: The zone label can be changed
    Given the API of edition 2023-03
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    And VM "db" with zone label "zone-1" that is <state>
    When zone label "zone-2" is put on VM "db"
    Then VM "db" carries zone label "zone-2"

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @S-21 @S-25 @M-01 @Z-04
  Scenario Outline: The later page keeps a zone label that is set
    Given the API of edition 2026-08
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    And VM "db" with zone label "zone-1" that is <state>
    When zone label "zone-2" is put on VM "db"
    Then the request is denied because of "metadata.labels[topology.kubernetes.io/zone]"

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @S-21 @S-25 @Z-05
  Scenario Outline: The zone label can be set while it is not set
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that waits for class "large"
    When zone label "zone-1" is put on VM "db"
    Then the request is accepted
    And VM "db" carries zone label "zone-1"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-21 @M-03 @M-05
  Scenario Outline: A field that needs a powered off VM is refused while it is on
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered on
    When VM "db" is changed to have <field> <value>
    Then the request is denied because of "spec.<field>"

    Examples:
      | edition | field      | value                                   |
      | 2023-03 | ports      | [{ip: 10.0.0.9, port: 80, protocol: TCP}] |
      | 2023-03 | vmMetadata | {transport: CloudInit}                  |
      | 2026-08 | guestID    | otherGuest64                            |

  @S-21
  Scenario Outline: A field that needs a powered off VM is changed while it is off
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When VM "db" is changed to have <field> <value>
    Then the request is accepted
    And VM "db" shows <field> <value>

    Examples:
      | edition | field      | value                                   |
      | 2023-03 | ports      | [{ip: 10.0.0.9, port: 80, protocol: TCP}] |
      | 2023-03 | vmMetadata | {transport: CloudInit}                  |
      | 2026-08 | guestID    | otherGuest64                            |

  @S-21 @M-08
  Scenario Outline: A field that has a value already is kept
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>, with these fields of spec:
      """
      biosUUID: 11111111-1111-4111-8111-111111111111
      """
    When biosUUID of VM "db" is changed to "22222222-2222-4222-8222-222222222222"
    Then the request is denied because of "spec.biosUUID"

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @S-21
  Scenario Outline: A field that has no value yet is set
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When biosUUID of VM "db" is changed to "22222222-2222-4222-8222-222222222222"
    Then the request is accepted

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @S-21 @M-01 @M-05
  Scenario Outline: The CD-ROM of a VM follows the table of the later page
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state> and has a CD-ROM
    When the CD-ROM of VM "db" is changed to have <field> <value>
    Then the request is <answer>

    Examples:
      | state       | field             | value                      | answer   |
      | powered on  | name              | cdrom2                     | denied   |
      | powered off | name              | cdrom2                     | accepted |
      | powered on  | image             | {kind: VirtualMachineImage, name: vmi-00000000000000007} | denied |
      | powered off | image             | {kind: VirtualMachineImage, name: vmi-00000000000000007} | accepted |
      | powered on  | connected         | false                      | accepted |
      | powered off | connected         | false                      | accepted |
      | powered on  | allowGuestControl | false                      | accepted |
      | powered off | allowGuestControl | false                      | accepted |
