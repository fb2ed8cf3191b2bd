Feature: Requests that the API admits and refuses
  What the code of an edition's own API says about names, fields and power states, beyond the page.

  @N-03
  Scenario: The first edition has no rule for host names
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "a.very.long.name.that.is.no.label" is created
    Then the request is accepted
    And VMs "a.very.long.name.that.is.no.label" run within 5 minutes

  @N-04
  Scenario: The first edition requires a power state
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created without powerState
    Then the request is denied because of "spec.powerState"
    And VM "db" does not exist

  @P-01 @P-13
  Scenario Outline: A power state that the edition does not know is refused
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with powerState "<word>"
    Then the request is denied because of "spec.powerState"
    And VM "db" does not exist

    Examples:
      | edition | word      |
      | 2023-03 | suspended |
      | 2023-03 | restarted |
      | 2026-08 | Paused    |

  @P-02
  Scenario: A VM made without a power state is on
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created without powerState
    Then VMs "db" run within 5 minutes
    And VM "db" shows powerState PoweredOn

  @P-03
  Scenario: A new VM cannot be suspended
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with powerState "Suspended"
    Then the request is denied because of "spec.powerState"

  @P-04
  Scenario Outline: The power state cannot be emptied
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When powerState of VM "db" is changed to ""
    Then the request is denied because of "spec.powerState"

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @P-05
  Scenario: A VM that is off cannot be suspended
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When VM "db" is changed to be suspended
    Then the request is denied because of "spec.powerState"
    And VM "db" is powered off within 5 minutes

  @P-07
  Scenario: The later edition fills in the power-off mode
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created
    Then VM "db" shows powerOffMode TrySoft

  @P-17
  Scenario: A new VM cannot ask for a restart
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with nextRestartTime "now"
    Then the request is denied because of "spec.nextRestartTime"

  @P-18
  Scenario Outline: A restart that is asked for now gets the time of the request
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered on
    When nextRestartTime of VM "db" is changed to "<word>"
    Then the request is accepted
    And VM "db" has nextRestartTime other than "<word>"

    Examples:
      | word |
      | now  |
      | NOW  |

  @P-19
  Scenario: A restart that was asked for is done once
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered on
    When nextRestartTime of VM "db" is changed to "now"
    Then VM "db" reports the restart that was asked for within 10 minutes
    And VM "db" stays on its host for 1 hour
    And VM "db" was restarted once

  @P-18 @P-20
  Scenario Outline: A restart cannot be asked for otherwise
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When nextRestartTime of VM "db" is changed to "<word>"
    Then the request is denied because of "spec.nextRestartTime"

    Examples:
      | state       | word                 |
      | powered on  | 2027-01-01T00:00:00Z |
      | powered on  | tomorrow             |
      | powered off | now                  |

  @M-15
  Scenario: An update that empties the time of a restart is repaired
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that was asked to restart
    When nextRestartTime of VM "db" is changed to ""
    Then the request is accepted
    And VM "db" has nextRestartTime other than ""

  @M-15
  Scenario: An update that empties the name of a secret is repaired
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off, with these fields of spec:
      """
      vmMetadata: {transport: CloudInit, secretName: guest}
      """
    When VM "db" is changed to have vmMetadata {transport: CloudInit, secretName: ""}
    Then the request is accepted
    And VM "db" shows vmMetadata {transport: CloudInit, secretName: guest}

  @M-02 @M-08
  Scenario Outline: The storage class cannot be changed
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When storageClass of VM "db" is changed to "gold"
    Then the request is denied because of "spec.storageClass"

    Examples:
      | edition | state       |
      | 2023-03 | powered on  |
      | 2023-03 | powered off |
      | 2026-08 | powered on  |
      | 2026-08 | powered off |

  @M-02
  Scenario Outline: The resource policy cannot be changed
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When resourcePolicyName of VM "db" is changed to "other"
    Then the request is denied because of "spec.resourcePolicyName"

    Examples:
      | state       |
      | powered on  |
      | powered off |

  @M-08
  Scenario Outline: Later fields that are never changed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When VM "db" is changed to have <field> <value>
    Then the request is denied because of "<place>"

    Examples:
      | field    | value                        | place                            |
      | reserved | {resourcePolicyName: other}  | spec.reserved.resourcePolicyName |
      | affinity | {vmAffinity: {}, x: [1]}     | spec.affinity                    |

  @M-03
  Scenario Outline: Fields of the first edition that are kept while the VM is on
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered on
    When VM "db" is changed to have <field> <value>
    Then the request is denied because of "<place>"

    Examples:
      | field             | value                                | place                  |
      | networkInterfaces | [{networkName: other}]               | spec.networkInterfaces |
      | advancedOptions   | {defaultVolumeProvisioningOptions: {thinProvisioned: true}} | spec.advancedOptions.defaultVolumeProvisioningOptions |
      | volumes           | [{name: v, vsphereVolume: {capacity: {ephemeral-storage: 1Gi}}}] | spec.volumes[VsphereVolume] |

  @M-04
  Scenario: One change may turn the VM off and change what needs it off
    Given the API of edition 2023-03
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered on
    When VM "db" is changed to be powered off and to have vmMetadata {transport: CloudInit}
    Then the request is accepted
    And VM "db" is powered off within 5 minutes

  @M-05
  Scenario Outline: Boot options are kept while the later VM is on
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>
    When VM "db" is changed to have bootOptions {firmware: EFI}
    Then the request is <answer>

    Examples:
      | state       | answer   |
      | powered on  | denied   |
      | powered off | accepted |

  @M-06
  Scenario: The reference to the image cannot be changed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And another class, image and storage class
    And VM "db" that is powered off
    When VM "db" is changed to have image {kind: VirtualMachineImage, name: vmi-00000000000000005}
    Then the request is denied

  @M-07
  Scenario: A class name that can be changed cannot be emptied
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When className of VM "db" is changed to ""
    Then the request is denied because of "spec.className"

  @M-09
  Scenario Outline: Network interfaces are not added or renamed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off
    When VM "db" is changed to have network <value>
    Then the request is denied because of "spec.network.interfaces"

    Examples:
      | value                                        |
      | {interfaces: [{name: eth0}, {name: eth1}]}   |
      | {interfaces: [{name: nic0}]}                 |

  @M-10
  Scenario: The kind of bootstrap provider is not changed
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is powered off, with these fields of spec:
      """
      bootstrap: {cloudInit: {cloudConfig: {}}}
      """
    When VM "db" is changed to have bootstrap {cloudInit: null, sysprep: {rawSysprep: {name: a, key: b}}}
    Then the request is denied because of "spec.bootstrap"

  @M-11
  Scenario Outline: The hardware version is raised only while the VM is off, and never lowered
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" that is <state>, with these fields of spec:
      """
      minHardwareVersion: 15
      """
    When VM "db" is changed to have minHardwareVersion <version>
    Then the request is <answer>

    Examples:
      | state       | version | answer   |
      | powered on  | 17      | denied   |
      | powered off | 17      | accepted |
      | powered on  | 14      | denied   |
      | powered off | 14      | denied   |
      | powered off | 99      | denied   |

  @Z-02 @Z-03
  Scenario Outline: A zone label names a zone that the namespace may use
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with zone label "zone-9"
    Then the request is denied because of "metadata.labels[topology.kubernetes.io/zone]"
    And VM "db" does not exist

    Examples:
      | edition |
      | 2023-03 |
      | 2026-08 |

  @Z-04
  Scenario: The zone label is not taken off
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And VM "db" with zone label "zone-1" that is powered on
    When the zone label is taken off VM "db"
    Then the request is denied because of "metadata.labels[topology.kubernetes.io/zone]"

  @I-01
  Scenario: A reference to something that is no image is refused
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have image {kind: ConfigMap, name: vmi-0a0044d7c690bcbea}
    Then the request is denied
    And the refusal says "spec.image.kind"

  @I-02
  Scenario: A display name that stands for one image is taken for it
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created with imageName "photon-5"
    Then the request is accepted
    And VM "db" shows image {kind: VirtualMachineImage, name: vmi-0a0044d7c690bcbea}
    And VMs "db" run within 5 minutes

  @I-02
  Scenario: A display name that stands for two images is refused
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And image "vmi-00000000000000005" with display name "photon-5"
    When VM "db" is created with imageName "photon-5"
    Then the request is denied because of "spec.imageName"

  @I-03
  Scenario Outline: Name and reference mean the same image
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And image "vmi-00000000000000005" with display name "another"
    When VM "db" is created to have image {kind: VirtualMachineImage, name: <name>}
    Then the request is <answer>

    Examples:
      | name                  | answer   |
      | vmi-0a0044d7c690bcbea | accepted |
      | vmi-00000000000000005 | denied   |

  @ST-01 @ST-04
  Scenario Outline: A storage class that the namespace is not offered is refused by its name
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    And storage class "gold" that the namespace is not offered
    When VM "db" is created with storageClass "gold"
    Then the request is denied because of "spec.storageClass"
    And the refusal says "<words>"
    And VM "db" does not exist

    Examples:
      | edition | words |
      | 2023-03 | demo  |
      | 2026-08 | gold  |
