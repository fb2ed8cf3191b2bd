Feature: Values that are out of bounds
  What the schema and the webhook of an edition refuse whatever else the VM is: names, formats,
  numbers, drives and volumes.

  @N-10
  Scenario Outline: A value has the form that the schema gives it
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have <field> <value>
    Then the request is <answer>

    Examples:
      | field              | value                                  | answer   |
      | minHardwareVersion | 12                                     | denied   |
      | minHardwareVersion | 13                                     | accepted |
      | biosUUID           | not-a-uuid                             | denied   |
      | biosUUID           | 4210cafe-0001-4000-8000-000000000000   | accepted |
      | instanceUUID       | 4210cafe                               | denied   |
      | network            | {interfaces: [{name: E0}]}             | denied   |
      | network            | {interfaces: [{name: e}]}              | denied   |
      | network            | {interfaces: [{name: eth0}]}           | accepted |
      | readinessProbe     | {timeoutSeconds: 61}                   | denied   |
      | readinessProbe     | {timeoutSeconds: 60}                   | accepted |

  @N-10
  Scenario Outline: A VM has at most ten network interfaces
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with <count> network interfaces
    Then the request is <answer>

    Examples:
      | count | answer   |
      | 10    | accepted |
      | 11    | denied   |

  @N-11
  Scenario Outline: A VM's own CPUs are whole numbers
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have resources {requests: {cpu: <cpu>}}
    Then the request is <answer>

    Examples:
      | cpu   | answer   |
      | 2     | accepted |
      | 1500m | denied   |

  @I-08
  Scenario Outline: A VM with a CD-ROM names its guest, and each image once
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with guest identifier "<guest>" and CD-ROMs of images <images>
    Then the request is <answer>

    Examples:
      | guest             | images          | answer   |
      | otherLinux64Guest | "tools"         | accepted |
      | otherLinux64Guest | "tools", "more" | accepted |
      |                   | "tools"         | denied   |
      | otherLinux64Guest | "more", "more"  | denied   |

  @M-12
  Scenario Outline: A volume that is not removable stays
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off, with these fields of spec:
      """
      volumes: [{name: data, removable: <removable>, persistentVolumeClaim: {claimName: data}}]
      """
    When VM "db" is changed to have volumes []
    Then the request is <answer>

    Examples:
      | removable | answer   |
      | false     | denied   |
      | true      | accepted |

  @ST-08
  Scenario Outline: A boot disk has a whole number of MiB
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have advanced {bootDiskCapacity: <capacity>}
    Then the request is <answer>

    Examples:
      | capacity | answer   |
      | 20Gi     | accepted |
      | 1025Ki   | denied   |

  @ST-09
  Scenario Outline: A disk is not both thin and zeroed in advance
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have advancedOptions {defaultVolumeProvisioningOptions: <options>}
    Then the request is <answer>

    Examples:
      | options                                     | answer   |
      | {thinProvisioned: true}                     | accepted |
      | {eagerZeroed: true}                         | accepted |
      | {thinProvisioned: true, eagerZeroed: true}  | denied   |

  @C-05
  Scenario Outline: A class requests no more than its limits
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When class "large" is made that requests <requests> of <limits>
    Then the request is <answer>

    Examples:
      | edition | requests                | limits                  | answer   |
      | 2023-03 | {cpu: "2", memory: 4Gi} | {cpu: "2", memory: 4Gi} | accepted |
      | 2023-03 | {cpu: "2"}              | {cpu: 1500m}            | denied   |
      | 2023-03 | {memory: 4Gi}           | {memory: 2Gi}           | denied   |
      | 2026-08 | {cpu: "2", memory: 4Gi} | {cpu: "2", memory: 4Gi} | accepted |
      | 2026-08 | {cpu: "2"}              | {cpu: 1500m}            | denied   |
      | 2026-08 | {memory: 4Gi}           | {memory: 2Gi}           | denied   |

  @C-14
  Scenario Outline: Reserved slots are those of a profile
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When class "large" is made with reserved slots and <profile>
    Then the request is <answer>

    Examples:
      | profile      | answer   |
      | a profile    | accepted |
      | no profile   | denied   |
