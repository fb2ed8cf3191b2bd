Feature: Customizing a guest
  Bootstrap providers give a guest its host name, its network and more.

  @S-27
  Scenario Outline: A VM with a bootstrap provider is made and keeps its configuration
    Given the API of edition <edition>
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have <field> <value>
    Then the request is accepted
    And VM "db" has an IP address within 10 minutes
    And VM "db" shows <field> <value>

    Examples:
      | edition | field      | value                                           |
      | 2023-03 | vmMetadata | {transport: CloudInit}                          |
      | 2023-03 | vmMetadata | {transport: OvfEnv, configMapName: guest}       |
      | 2023-03 | vmMetadata | {transport: ExtraConfig, configMapName: guest}  |
      | 2026-08 | bootstrap  | {cloudInit: {cloudConfig: {}}}                  |
      | 2026-08 | bootstrap  | {linuxPrep: {hardwareClockIsUTC: true}}         |
      | 2026-08 | bootstrap  | {sysprep: {rawSysprep: {name: guest, key: x}}}  |
      | 2026-08 | bootstrap  | {vAppConfig: {properties: []}}                  |
      | 2026-08 | network    | {hostName: db-1, interfaces: [{name: eth0}]}    |

  @S-27
  Scenario Outline: A guest is customised by one bootstrap provider
    Given the API of edition 2026-08
    And hosts "esx-1"
    And namespace "demo" with a class, an image and a storage class
    When VM "db" is created to have bootstrap <providers>
    Then the request is <answer>

    Examples:
      | providers                                               | answer   |
      | {cloudInit: {}, sysprep: {}}                            | denied   |
      | {cloudInit: {}, vAppConfig: {properties: []}}           | denied   |
      | {linuxPrep: {}, sysprep: {}}                            | denied   |
      | {linuxPrep: {}, vAppConfig: {properties: []}}           | accepted |
