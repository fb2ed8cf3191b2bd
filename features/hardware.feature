Feature: The hardware of a VM on its host
  What a class requests, limits and brings along is what the host gives the VM.

  @C-04
  Scenario Outline: Requests of a class are reserved, and its limits are kept
    Given the API of edition <edition>
    And host "esx-1" with cores of 3000 MHz
    And host "esx-2" with cores of 2000 MHz
    And namespace "demo" with a class, an image and a storage class
    And class "half" that requests {cpu: 1500m, memory: 1Gi} of {cpu: "2", memory: 2Gi}
    When VM "db" of class "half" is created
    Then VM "db" reserves 3000 MHz and 1024 MiB within 5 minutes
    And VM "db" may use 4000 MHz and 2048 MiB

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @C-04 @C-07
  Scenario Outline: A class without requests reserves nothing, one that requests everything all of it
    Given the API of edition <edition>
    And host "esx-1" with cores of 2000 MHz
    And namespace "demo" with a class, an image and a storage class
    And class "large" that requests <requests> of {}
    When VM "db" of class "large" is created
    Then VM "db" reserves <mhz> MHz and <mib> MiB within 5 minutes
    And VM "db" may use all that there is

    Examples:
      | edition | requests                | mhz  | mib  |
      | 2023-03 | {}                      | 0    | 0    |
      | 2026-08 | {}                      | 0    | 0    |
      | 2026-08 | {cpu: "2", memory: 4Gi} | 4000 | 4096 |

  @C-11
  Scenario: The hardware of a class is laid on the configuration that it brings
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And class "legacy" that brings configuration {firmware: efi, numCPUs: 8, memoryMB: 512}
    When VM "db" of class "legacy" is created
    Then VM "db" boots by "efi" within 5 minutes
    And VM "db" has 2 CPUs and 4096 MiB of memory

  @C-15
  Scenario Outline: The firmware is that of the boot options, of the image or of the class
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And image "vmi-00000000000000005" with firmware "<image>"
    And class "legacy" that brings configuration <class>
    When VM "db" of class "legacy" and image "vmi-00000000000000005" is created with boot options <own>
    Then VM "db" boots by "<firmware>" within 5 minutes

    Examples:
      | own              | image | class            | firmware |
      | {firmware: EFI}  | bios  | {firmware: bios} | efi      |
      | {firmware: BIOS} | efi   | {firmware: efi}  | bios     |
      | {}               | efi   | {firmware: bios} | efi      |
      | {}               |       | {firmware: efi}  | efi      |

  @T-08
  Scenario: A running VM keeps its hardware when it is changed to another class
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And running VMs "db"
    When className of VM "db" is changed to "another-class"
    Then VM "db" reports class "my-vm-class" as the one in force for 1 hour
    And VM "db" has 2 CPUs and 4096 MiB of memory

  @T-08
  Scenario: A VM that is off gets the hardware of another class
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is powered off
    When className of VM "db" is changed to "another-class"
    Then VM "db" reports class "another-class" as the one in force within 10 minutes
    And VM "db" has 4 CPUs and 8192 MiB of memory

  @T-08
  Scenario: A VM is powered on with the hardware of the class that came with the request
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is powered off
    When VM "db" is changed to be powered on and to have className another-class
    Then VMs "db" run within 10 minutes
    And VM "db" has 4 CPUs and 8192 MiB of memory

  @T-08
  Scenario: A VM gets the hardware of another class once it is powered off
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is powered on and was changed to class "another-class"
    When VM "db" is changed to be powered off
    Then VM "db" reports class "another-class" as the one in force within 15 minutes
    And VM "db" has 4 CPUs and 8192 MiB of memory

  @T-12
  Scenario Outline: A VM reports the hardware that it has
    Given the API of edition 2026-08
    And host "esx-1" with cores of 2000 MHz
    And namespace "demo" with a class, an image and a storage class
    And class "half" that requests <requests> of {}
    When VM "db" of class "half" is created
    Then VM "db" reports 2 CPUs and 4096 MiB of memory within 5 minutes
    And VM "db" reports that <mhz> MHz and <mib> MiB are reserved

    Examples:
      | requests                  | mhz  | mib  |
      | {}                        | 0    | 0    |
      | {cpu: 1500m, memory: 1Gi} | 3000 | 1024 |

  @T-12
  Scenario: A VM reports the hardware of another class once it has it
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is powered off
    When className of VM "db" is changed to "another-class"
    Then VM "db" reports 4 CPUs and 8192 MiB of memory within 10 minutes
