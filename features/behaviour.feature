Feature: What the controller does with a VM
  Power, zones, classes, images, trying again, deletion and status, as the code of an edition has
  them and an observer can see them.

  @P-06
  Scenario: A suspended VM is powered on
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And suspended VM "db" with power-off mode "TrySoft"
    When VM "db" is changed to be powered on
    Then VMs "db" run within 5 minutes

  @P-06 @P-14
  Scenario Outline: A suspended VM is powered off by a hard power-off
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And suspended VM "db" with power-off mode "<mode>"
    When VM "db" is changed to be powered off
    Then VM "db" is powered off within 15 minutes

    Examples:
      | mode    |
      | Hard    |
      | TrySoft |

  @P-14
  Scenario: A suspended VM stays suspended when only a soft power-off is allowed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And suspended VM "db" with power-off mode "Soft"
    When VM "db" is changed to be powered off
    Then VM "db" stays suspended for 1 hour

  @P-11
  Scenario: Asking for the power state that is there changes nothing
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When VM "db" is changed to be powered on
    Then the request is accepted
    And VM "db" stays on its host for 1 hour
    And VM "db" kept running

  @P-16 @Q-11
  Scenario: A power state that was changed past the API is driven back at once
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    When the administrator powers off VM "db"
    Then VM "db" was powered off and is on again within 2 minutes

  @P-21
  Scenario: A VM that an annotation holds back is not powered on
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" with annotation "poweron.check.vmoperator.vmware.com/backup" that is powered off
    When VM "db" is changed to be powered on
    Then the request is accepted
    And VM "db" does not run for 1 hour

  @P-21
  Scenario: A VM runs once nothing holds it back
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is held back by annotation "poweron.check.vmoperator.vmware.com/backup"
    When annotation "poweron.check.vmoperator.vmware.com/backup" is taken off VM "db"
    Then VMs "db" run within 40 minutes

  @P-12
  Scenario Outline: The first power-on of a VM is noted on it
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When VM "db" is changed to be powered on
    Then VM "db" carries annotation "virtualmachine.vmoperator.vmware.com/first-boot-done" within 5 minutes
    And VMs "db" run within 1 minute

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @P-12
  Scenario Outline: A VM that was never powered on has no note of it
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with powerState "<off>"
    Then VM "db" is powered off within 5 minutes
    And VM "db" carries no annotation about "first-boot"

    Examples:
      | edition | off        |
      | 2023-03 | poweredOff |
      | 2026-08 | PoweredOff |

  @P-22 @T-10
  Scenario Outline: A VM whose work an administrator paused is left as it is, and says so
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VM "db" whose work is paused by "<who>"
    When VM "db" is changed to be powered off
    Then VM "db" has condition "VirtualMachineReconcileReady" because of "VirtualMachineReconcilePaused" within 1 minute
    And VM "db" stays on its host for 1 hour

    Examples:
      | who    |
      | admin  |
      | devops |
      | both   |

  @P-22 @T-10
  Scenario: The work on a VM goes on when the pause is over
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VM "db" whose work is paused by "admin"
    And VM "db" is wanted powered off all the same
    When the pause of VM "db" ends
    Then VM "db" is powered off within 15 minutes
    And VM "db" has condition "VirtualMachineReconcileReady" "True" within 1 minute

  @T-08
  Scenario: A VM reports its class
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And class "large" with 8 CPUs and 32Gi of memory
    When VM "db" of class "large" is created
    Then VM "db" reports class "large" as the one in force within 5 minutes

  @X-06 @needs-vm-without-object
  Scenario: A VM that is to live on stays when its object is deleted
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" with annotation "vmoperator.vmware.com.protected/skip-delete-platform-resource" that is powered on
    When VM "db" is deleted
    Then the object of VM "db" is gone within 5 minutes
    And the hosts still run VM "db" for 1 hour

  @X-03 @needs-host-failure
  Scenario Outline: A deletion that cannot be done keeps the object
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    And all hosts failed
    When VM "db" is deleted
    Then the request is accepted
    And VM "db" is still there for 1 hour

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @X-03 @needs-host-failure
  Scenario Outline: A deletion that could not be done is done in the end
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" whose deletion waits for its host
    When all hosts recover
    Then VM "db" is gone within 45 minutes
    And no host has VM "db" for 1 hour

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @Z-08
  Scenario Outline: A VM is placed only in a zone that its namespace may use
    Given the API of edition <edition>
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And host "esx-3" in zone "zone-3"
    And namespace "demo" with a class, an image and a storage class
    When VMs "a", "b" and "c" are created
    Then VMs "a", "b" and "c" run on host "esx-1" within 5 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @Z-07 @Z-16
  Scenario Outline: The zone and the Node that a VM reports are those where it is
    Given the API of edition 2026-08
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    When VM "db" is created with zone label "<zone>"
    Then VM "db" reports zone "<zone>" within 5 minutes
    And VM "db" reports nodeName "<host>" within 5 minutes

    Examples:
      | zone   | host  |
      | zone-1 | esx-1 |
      | zone-2 | esx-2 |

  @Z-09
  Scenario Outline: A VM is placed in a zone in which its volumes are
    Given the API of edition 2026-08
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    And claims "data" and "log" of volumes in zones "<zone>" and "<zone>"
    When VM "db" is created with the volumes of claims "data" and "log"
    Then VM "db" runs on host "<host>" within 5 minutes

    Examples:
      | zone   | host  |
      | zone-1 | esx-1 |
      | zone-2 | esx-2 |

  @Z-09
  Scenario: A VM whose volumes have no zone in common is not placed
    Given the API of edition 2026-08
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    And claims "data" and "log" of volumes in zones "zone-1" and "zone-2"
    When VM "db" is created with the volumes of claims "data" and "log"
    Then no host has VM "db" for 1 hour

  @Z-15
  Scenario Outline: No host is recorded in advance for an ordinary VM
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VMs "db" run within 5 minutes
    And VM "db" carries no annotation about "instance-storage"

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @C-01 @T-14
  Scenario: A VM says that its class is missing
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" of class "large" is created
    Then VM "db" has condition "VirtualMachinePrereqReady" because of "VirtualMachineClassNotFound" within 1 minute
    And no host has VM "db" for 1 hour

  @C-01 @T-14
  Scenario: A VM says that the binding of its class is missing
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VirtualMachineClassBinding "small" is missing
    When VM "db" is created
    Then VM "db" has condition "VirtualMachinePrereqReady" because of "VirtualMachineClassBindingNotFound" within 1 minute
    And no host has VM "db" for 1 hour

  @T-14
  Scenario: A VM says that everything it names is there
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" has condition "VirtualMachinePrereqReady" "True" within 5 minutes

  @C-02
  Scenario: A VM of the later API says that its class is missing
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" of class "large" is created
    Then VM "db" has condition "VirtualMachineClassReady" because of "NotFound" within 1 minute
    And no host has VM "db" for 1 hour

  @C-12
  Scenario Outline: A change of its class does not change a VM
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And class "large" with 8 CPUs and 32Gi of memory
    And running VM "db" of class "large"
    When class "large" with 4 CPUs and 16Gi of memory is made
    Then VM "db" stays on its host for 1 hour
    And VM "db" has 8 CPUs and 32768 MiB of memory

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @I-05
  Scenario Outline: A VM says which part of the way to its image is missing
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And <kind> "<name>" is missing
    When VM "db" is created
    Then VM "db" has condition "VirtualMachinePrereqReady" because of "<reason>" within 1 minute
    And no host has VM "db" for 1 hour

    Examples:
      | kind                   | name    | reason                         |
      | VirtualMachineImage    | photon4 | VirtualMachineImageNotFound    |
      | ContentLibraryProvider | library | ContentLibraryProviderNotFound |
      | ContentSourceBinding   | library | ContentSourceBindingNotFound   |

  @I-09
  Scenario: A VM runs once its image is ready
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And image "vmi-00000000000000005" that is not ready
    And VM "db" that waits for image "vmi-00000000000000005"
    When image "vmi-00000000000000005" becomes ready
    Then VMs "db" run within 20 minutes

  @C-08
  Scenario Outline: A VM with a device is placed on the host that has it
    Given the API of edition <edition>
    And hosts "esx-1", "esx-2" and "esx-3"
    And hosts "esx-4" with device "grid_a100-8c"
    And namespace "demo" with a class, an image and a storage class
    And class "gpu" with device "grid_a100-8c"
    When VM "db" of class "gpu" is created
    Then VM "db" runs on host "esx-4" within 5 minutes

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @I-06
  Scenario: A VM says that its image is not ready
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And image "vmi-00000000000000005" that is not ready
    When VM "db" is created with imageName "vmi-00000000000000005"
    Then VM "db" has condition "VirtualMachineImageReady" "False" within 1 minute
    And no host has VM "db" for 1 hour

  @ST-05
  Scenario: A VM says that its storage class has no policy
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And storage class "plain" without a policy
    When VM "db" is created with storageClass "plain"
    Then VM "db" has condition "VirtualMachineStorageReady" "False" within 1 minute
    And no host has VM "db" for 1 hour

  @Q-09
  Scenario Outline: While no cluster has room there is no VM anywhere
    Given the API of edition <edition>
    And host "esx-1" in zone "zone-1"
    And host "esx-2" in zone "zone-2"
    And namespace "demo" with a class, an image and a storage class
    And namespace "demo" may use zones "zone-1" and "zone-2"
    And class "huge" with 8 CPUs and 512Gi of memory
    When VM "db" of class "huge" is created
    Then no host has VM "db" for 1 day

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @Q-03
  Scenario: An address is reported soon after the guest has it
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" has an IP address within 3 minutes

  @Q-13
  Scenario Outline: One look names everything that is missing
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And storage class "plain" without a policy
    And image "vmi-00000000000000005" that is not ready
    When VM "db" of class "large", image "vmi-00000000000000005" and storage class "plain" is created
    Then VM "db" has condition "<condition>" "False" within 1 minute

    Examples:
      | condition                  |
      | VirtualMachineClassReady   |
      | VirtualMachineImageReady   |
      | VirtualMachineStorageReady |

  @Q-13
  Scenario: The first edition stops at the first thing that is missing
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class and a storage class, but without its image
    When VM "db" of class "large" is created
    Then VM "db" has condition "VirtualMachinePrereqReady" because of "VirtualMachineClassNotFound" within 1 minute

  @Q-07 @needs-host-failure
  Scenario: A VM whose only host has failed is left alone
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db"
    And all hosts failed
    When VM "db" is changed to be powered off
    Then the request is accepted
    And VM "db" is still there for 1 hour

  @Q-14
  Scenario: A VM that is asked for again while it is being made is made once
    Given the API of edition 2026-08
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is being made
    When VM "db" is created
    Then the request is accepted
    And VMs "db" run within 5 minutes
    And the hosts have 1 VM

  @X-01
  Scenario Outline: A VM carries the finalizer of its edition
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VMs "db" run within 5 minutes
    And VM "db" carries finalizer "<finalizer>"

    Examples:
      | edition | finalizer                               |
      | 2023-03 | virtualmachine.vmoperator.vmware.com    |
      | 2026-08 | vmoperator.vmware.com/virtualmachine    |

  @X-04
  Scenario Outline: An annotation holds a deletion back
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" with annotation "<key>" that is powered off
    When VM "db" is deleted
    Then the request is accepted
    And VM "db" is still there for 1 hour

    Examples:
      | key                                        |
      | delete.check.vmoperator.vmware.com/backup  |

  @X-07
  Scenario: A VM whose work is paused is not made
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created, paused by annotation "vmoperator.vmware.com/pause-reconcile"
    Then no host has VM "db" for 1 hour

  @T-01
  Scenario: A VM that exists is Created
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" reports phase "Created" within 5 minutes
    And VMs "db" run within 5 minutes

  @T-03
  Scenario Outline: A VM reports identifiers of its own
    Given the API of edition <edition>
    And hosts "esx-1" and "esx-2"
    And namespace "demo" with a class, an image and a storage class
    And running VMs "db" and "web"
    When the host of VM "db" enters maintenance
    Then VMs "db" run on other hosts within 15 minutes
    And VM "db" kept its address and its identity
    And VM "db" reports "uniqueID", "biosUUID" and "instanceUUID" that no other VM has

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @T-06
  Scenario: A VM says that it has not the wanted power state
    Given the API of edition 2026-08
    And host "esx-1" with 2Gi of memory
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" has condition "VirtualMachinePowerStateSynced" because of "NotSynced" within 5 minutes

  @T-06 @T-07
  Scenario: A VM says that it was made and has the wanted power state
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" has condition "VirtualMachineCreated" "True" within 5 minutes
    And VM "db" has condition "VirtualMachinePowerStateSynced" "True" within 5 minutes
