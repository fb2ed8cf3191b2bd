Feature: Image, class and storage class
  A VM gets its disks from an image, its virtual hardware from a class and its storage policy from
  a storage class; a new VM names all three.

  @S-15 @N-04 @N-05 @N-06
  Scenario Outline: A VM without an image is denied
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created <how> imageName
    Then the request is denied because of "<field>"
    And VM "db" does not exist

    Examples:
      | edition | how           | field          |
      | 2023-03 | without       | spec.imageName |
      | 2023-03 | with an empty | spec.imageName |
      | 2026-08 | without       | spec.image     |
      | 2026-08 | with an empty | spec.image     |

  @S-17 @N-04 @N-05 @N-07
  Scenario Outline: A VM without a class is denied
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created <how> className
    Then the request is denied because of "spec.className"
    And VM "db" does not exist

    Examples:
      | edition | how           |
      | 2023-03 | without       |
      | 2023-03 | with an empty |
      | 2026-08 | without       |
      | 2026-08 | with an empty |

  @S-19 @ST-02
  Scenario Outline: A VM without a storage class is denied
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created <how> storageClass
    Then the request is denied because of "spec.storageClass"
    And VM "db" does not exist

    Examples:
      | edition | how           |
      | 2023-03 | without       |
      | 2023-03 | with an empty |
      | 2026-08 | without       |
      | 2026-08 | with an empty |

  @S-19
  Scenario Outline: A VM with a storage class that the namespace has not got is denied
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with storageClass "gold"
    Then the request is denied because of "spec.storageClass"
    And VM "db" does not exist

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-03 @C-03
  Scenario Outline: A VM has the CPUs and the memory of its class
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And class "large" with 8 CPUs and 32Gi of memory
    When VM "db" of class "large" is created
    Then VMs "db" run within 5 minutes
    And VM "db" has 8 CPUs and 32768 MiB of memory

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-03
  Scenario Outline: A VM is not made before its class exists
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" of class "large" is created
    Then VM "db" has condition "<condition>" "False" within 1 minute
    And VM "db" does not run for 1 hour

    Examples:
      | edition | condition                |
      | 2023-03 | VirtualMachinePrereqReady |
      | 2026-08 | VirtualMachineClassReady |

  @S-03 @Q-08
  Scenario Outline: A VM runs once its class is made
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that waits for class "large"
    When class "large" with 8 CPUs and 32Gi of memory is made
    Then VMs "db" run within 20 minutes
    And VM "db" has 8 CPUs and 32768 MiB of memory

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @S-04
  Scenario: A VM is not made while its image does not exist
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class and a storage class, but without its image
    When VM "db" is created
    Then VM "db" has condition "VirtualMachinePrereqReady" "False" within 1 minute
    And VM "db" does not run for 1 hour

  @S-04 @I-02
  Scenario: The later API denies a VM whose image does not exist
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class and a storage class, but without its image
    When VM "db" is created
    Then the request is denied because of "spec.imageName"
    And VM "db" does not exist

  @S-04 @Q-08 @I-09 @I-05
  Scenario: A VM runs once its image is there
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class and a storage class, but without its image
    And VM "db" that waits for its image
    When the image is made
    Then VMs "db" run within 20 minutes

  @S-16
  Scenario Outline: Images are listed
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And cluster image "windows"
    When "kubectl get <arguments>" is run
    Then the list names "<name>"

    Examples:
      | edition | arguments       | name                  |
      | 2023-03 | -n demo vmimage | photon4               |
      | 2023-03 | clustervmimage  | windows               |
      | 2026-08 | -n demo vmimage | vmi-0a0044d7c690bcbea |
      | 2026-08 | clustervmimage  | windows               |

  @S-16
  Scenario: Images of another namespace are not listed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When "kubectl get -n other vmimage" is run
    Then the list is empty

  @S-18
  Scenario Outline: Classes are listed
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And class "large" with 8 CPUs and 32Gi of memory
    When "kubectl get -n demo vmclass" is run
    Then the list names "large" and "<name>"

    Examples:
      | edition | name        |
      | 2023-03 | small       |
      | 2026-08 | my-vm-class |

  @S-18
  Scenario: Classes of another namespace are not listed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When "kubectl get -n other vmclass" is run
    Then the list is empty

  @S-20
  Scenario Outline: Storage classes are listed
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When "kubectl get storageclass" is run
    Then the list names "<name>"

    Examples:
      | edition | name             |
      | 2023-03 | iscsi            |
      | 2026-08 | my-storage-class |
