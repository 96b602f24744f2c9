import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type KubeObject } from "../src/shapes/Objects.ts"
import { createCauses } from "../src/shapes/Validation.ts"
import { type Json, judged, main, podOf, rich, withContainer } from "./support/PodCases.ts"

describe("a pod", () => {
  judged("that uses everything rightly is found right", [[podOf(rich), []]])

  judged("has containers with names of their own, images, and commands of known policies", [
    [podOf({}), ["spec.containers: Required value"]],
    [podOf({ containers: [{}] }), [
      "spec.containers[0].name: Required value",
      "spec.containers[0].image: Required value"
    ]],
    [podOf({ containers: [main(), main()], initContainers: [main(), main({ name: "i" }), main({ name: "i" })] }), [
      "spec.containers[1].name: Duplicate value: \"a\"",
      "spec.initContainers[0].name: Duplicate value: \"a\"",
      "spec.initContainers[2].name: Duplicate value: \"i\""
    ]],
    [withContainer({ name: "a.b", image: " x", imagePullPolicy: "Often", terminationMessagePolicy: "Mail" }), [
      "spec.containers[0].name: Invalid value: \"a.b\": must not contain dots",
      "spec.containers[0].image: Invalid value: \" x\": must not have leading or trailing whitespace",
      "spec.containers[0].terminationMessagePolicy: Unsupported value: \"Mail\": supported values: \"File\", \"FallbackToLogsOnError\"",
      "spec.containers[0].imagePullPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\""
    ]],
    [withContainer({ restartPolicy: "Always" }), [
      "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers"
    ]],
    [withContainer({}, { ephemeralContainers: [main({ name: "e" })] }), [
      "spec.ephemeralContainers: Forbidden: cannot be set on create"
    ]]
  ])

  judged("has init containers with hooks and probes only where they stay", [
    [
      podOf({
        containers: [main()],
        initContainers: [main({ name: "i", lifecycle: {}, readinessProbe: { tcpSocket: { port: 1 } } })]
      }),
      [
        "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
        "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"
      ]
    ],
    [podOf({ containers: [main()], initContainers: [main({ name: "i", restartPolicy: "Never" })] }), [
      "spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""
    ]]
  ])

  judged("has an environment with names, and of values one source", [
    [
      withContainer({ env: [{ name: "a=b" }, { name: "é" }, { name: "1 ok" }] }),
      ["a=b", "é"].map((name, index) =>
        `spec.containers[0].env[${index}].name: Invalid value: "${name}": a valid environment variable name must consist only of printable ASCII characters other than '='`
      )
    ],
    [
      withContainer({
        env: [
          { name: "A", valueFrom: {} },
          { name: "B", value: "x", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
          { name: "C", valueFrom: { fieldRef: { fieldPath: "status.phase" }, configMapKeyRef: { name: "c" } } },
          { name: "D", valueFrom: { fieldRef: { fieldPath: "spec.containers" } } },
          { name: "E", valueFrom: { fieldRef: { fieldPath: "spec.nodeName['a']" } } },
          { name: "F", valueFrom: { resourceFieldRef: { resource: "cpu" } } },
          { name: "G", valueFrom: { configMapKeyRef: { name: "c", key: "..k" } } }
        ]
      }),
      [
        "env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        "env[1].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        "env[2].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
        "env[2].valueFrom.configMapKeyRef.key: Required value",
        "env[2].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
        "env[3].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.containers\": error converting fieldPath: field label not supported: spec.containers",
        `env[4].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nodeName['a']": error converting fieldPath: field label does not support subscript: spec.nodeName['a']`,
        "env[5].valueFrom.resourceFieldRef.resource: Unsupported value: \"cpu\": supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", \"requests.ephemeral-storage\", \"requests.memory\"",
        `env[6].valueFrom.configMapKeyRef.key: Invalid value: "..k": must not start with '..'`
      ].map((text) => `spec.containers[0].${text}`)
    ],
    [withContainer({ envFrom: [{}, { secretRef: { name: "" } }] }), [
      "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
      "spec.containers[0].envFrom[1].secretRef.name: Required value"
    ]]
  ])

  judged("has ports in their range, with names that are each another", [
    [
      withContainer({
        ports: [{ name: "x", containerPort: 0 }, { name: "x", containerPort: 65_536, protocol: "ICMP" }, {
          name: "1--2-",
          containerPort: 1
        }]
      }),
      [
        "ports[0].containerPort: Required value",
        "ports[1].name: Duplicate value: \"x\"",
        "ports[1].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        "ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        "ports[2].name: Invalid value: \"1--2-\": must contain at least one letter (a-z)",
        "ports[2].name: Invalid value: \"1--2-\": must not contain consecutive hyphens",
        "ports[2].name: Invalid value: \"1--2-\": must not begin or end with a hyphen"
      ].map((text) => `spec.containers[0].${text}`)
    ],
    [withContainer({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }), [
      "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"
    ]]
  ])

  judged("asks for amounts that it may have, and not for more than its limits", [
    [
      withContainer({
        resources: {
          limits: { cpu: "500m", foo: "1", "example.com/gpu": "1500m", memory: -1 },
          requests: { cpu: 1, "example.com/tpu": 1 }
        }
      }),
      [
        "limits[foo]: Invalid value: \"foo\": must be a standard resource type or fully qualified",
        "limits[foo]: Invalid value: \"foo\": must be a standard resource for containers",
        "limits[example.com/gpu]: Invalid value: \"1500m\": must be an integer",
        "limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        "requests[foo]: Invalid value: \"foo\": must be a standard resource type or fully qualified",
        "requests[foo]: Invalid value: \"foo\": must be a standard resource for containers",
        "requests[example.com/gpu]: Invalid value: \"1500m\": must be an integer",
        "requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        "requests: Invalid value: \"1\": must be less than or equal to cpu limit of 500m",
        "limits: Required value: Limit must be set for non overcommitable resources"
      ].map((text) => `spec.containers[0].resources.${text}`)
    ],
    // Exactly compared, in whatever unit.
    [withContainer({ resources: { limits: { cpu: "1001m" }, requests: { cpu: 1.001 } } }), []],
    [withContainer({ resources: { limits: { memory: "1Gi" }, requests: { memory: "1.1G" } } }), [
      "spec.containers[0].resources.requests: Invalid value: \"1100M\": must be less than or equal to memory limit of 1Gi"
    ]]
  ])

  judged("mounts volumes that it has, each place once, and stays inside them", [
    [
      withContainer({
        volumeMounts: [
          { name: "v", mountPath: "/v", subPath: "../x" },
          { name: "w", mountPath: "/v" },
          { name: "v", mountPath: "", subPathExpr: "/y" }
        ]
      }, { volumes: [{ name: "v" }] }),
      [
        `volumeMounts.subPath: Invalid value: "../x": must not contain '..'`,
        "volumeMounts[1].name: Not found: \"w\"",
        "volumeMounts[1].mountPath: Invalid value: \"/v\": must be unique",
        "volumeMounts[2].mountPath: Required value",
        "volumeMounts.subPathExpr: Invalid value: \"/y\": must be a relative path"
      ].map((text) => `spec.containers[0].${text}`)
    ]
  ])

  judged("has volumes of one source, with what that needs", [
    [
      withContainer({ volumeMounts: [{ name: "twice", mountPath: "/t" }] }, {
        volumes: [
          { name: "twice" },
          { name: "twice" },
          { name: "Two", emptyDir: {}, hostPath: { path: "/" } },
          { name: "c", configMap: { items: [{ key: "k", path: "..k" }, { path: "/a" }], defaultMode: 512 } },
          { name: "s", secret: {} },
          { name: "h", hostPath: { path: "/a/../b", type: "Floppy" } },
          { name: "p", persistentVolumeClaim: {} },
          {
            name: "d",
            downwardAPI: { items: [{ path: "a" }, { path: "b", resourceFieldRef: { resource: "limits.cpu" } }] }
          },
          {
            name: "j",
            projected: {
              sources: [
                {
                  secret: { name: "s", items: [{ key: "k", path: "x" }] },
                  configMap: { name: "c", items: [{ key: "k", path: "x" }] }
                },
                { serviceAccountToken: { expirationSeconds: 60 } }
              ]
            }
          },
          { emptyDir: { sizeLimit: "-1" } }
        ]
      }),
      [
        "volumes[1].name: Duplicate value: \"twice\"",
        "volumes[2].hostPath: Forbidden: may not specify more than 1 volume type",
        "volumes[2].name: Invalid value: \"Two\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        "volumes[3].configMap.name: Required value",
        "volumes[3].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
        `volumes[3].configMap.items[0].path: Invalid value: "..k": must not start with '..'`,
        "volumes[3].configMap.items[1].key: Required value",
        "volumes[3].configMap.items[1].path: Invalid value: \"/a\": must be a relative path",
        "volumes[4].secret.secretName: Required value",
        `volumes[5].hostPath.path: Invalid value: "/a/../b": must not contain '..'`,
        "volumes[5].hostPath.type: Unsupported value: \"Floppy\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
        "volumes[6].persistentVolumeClaim.claimName: Required value",
        "volumes[7].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
        "volumes[7].downwardAPI.resourceFieldRef.containerName: Required value",
        "volumes[8].projected: Invalid value: \"x\": conflicting duplicate paths",
        "volumes[8].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
        "volumes[8].projected.sources[1].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
        "volumes[8].projected.sources[1].serviceAccountToken.path: Required value",
        "volumes[9].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",
        "volumes[9].name: Required value"
      ].map((text) => `spec.${text}`)
    ]
  ])

  judged("has probes and hooks of exactly one action, which has what it needs", [
    [
      withContainer({
        livenessProbe: { exec: {}, tcpSocket: { port: 0 }, successThreshold: 2, periodSeconds: -1 },
        readinessProbe: {
          httpGet: { port: "", scheme: "FTP", httpHeaders: [{ name: "a b" }] },
          terminationGracePeriodSeconds: 1
        },
        startupProbe: { terminationGracePeriodSeconds: 0 },
        lifecycle: { postStart: {}, preStop: { sleep: { seconds: 31 } } }
      }),
      [
        "lifecycle.postStart: Required value: must specify a handler type",
        "lifecycle.preStop.sleep: Invalid value: 31: must be greater than 0 and less than terminationGracePeriodSeconds (30). Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep.",
        "livenessProbe.exec.command: Required value",
        "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        "livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        "livenessProbe.successThreshold: Invalid value: 2: must be 1",
        "readinessProbe.httpGet.port: Invalid value: \"\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        "readinessProbe.httpGet.port: Invalid value: \"\": must contain at least one letter (a-z)",
        "readinessProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", \"HTTPS\"",
        "readinessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        "readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
        "startupProbe: Required value: must specify a handler type",
        "startupProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"
      ].map((text) => `spec.containers[0].${text}`)
    ]
  ])

  judged("has users, policies and deadlines in their range", [
    [
      withContainer({
        securityContext: { runAsUser: -1, procMount: "None", allowPrivilegeEscalation: false, privileged: true }
      }, {
        activeDeadlineSeconds: 0,
        restartPolicy: "Sometimes",
        dnsPolicy: "None",
        preemptionPolicy: "Push",
        hostname: "a.b",
        os: { name: "plan9" },
        overhead: { disk: 1 },
        securityContext: { runAsGroup: 2 ** 32 - 1, seccompProfile: {} },
        hostAliases: [{ ip: "10.0.0.256" }],
        schedulingGates: [{ name: "g" }, { name: "g" }],
        topologySpreadConstraints: [{ maxSkew: 0 }],
        nodeName: "n"
      }),
      [
        "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        "spec.containers[0].securityContext.procMount: Unsupported value: \"None\": supported values: \"Default\", \"Unmasked\"",
        "spec.containers[0].securityContext: Invalid value: {\"runAsUser\":-1,\"procMount\":\"None\",\"allowPrivilegeEscalation\":false,\"privileged\":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        "spec.securityContext.runAsGroup: Invalid value: 4294967295: must be between 0 and 2147483647, inclusive",
        "spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set",
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        "spec.schedulingGates[1]: Duplicate value: \"g\"",
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
        "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        "spec.hostname: Invalid value: \"a.b\": must not contain dots",
        "spec.hostAliases[0].ip: Invalid value: \"10.0.0.256\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        "spec.preemptionPolicy: Unsupported value: \"Push\": supported values: \"PreemptLowerPriority\", \"Never\"",
        "spec.overhead.limits[disk]: Invalid value: \"disk\": must be a standard resource type or fully qualified",
        "spec.overhead.limits[disk]: Invalid value: \"disk\": must be a standard resource for containers",
        "spec.os.name: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\"",
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"
      ]
    ]
  ])

  judged("tolerates what a taint can be", [
    [
      withContainer({}, {
        tolerations: [
          { operator: "Equal", effect: "NoSchedule", tolerationSeconds: 1 },
          { key: "k", operator: "Exists", value: "v" },
          { key: "k", operator: "Like", effect: "Never" }
        ]
      }),
      [
        "tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        "tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
        "tolerations[1].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
        "tolerations[2].operator: Unsupported value: \"Like\": supported values: \"Equal\", \"Exists\"",
        "tolerations[2].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""
      ].map((text) => `spec.${text}`)
    ]
  ])

  it.effect("is told of each field that has a value which it may not have", () =>
    Effect.sync(() => {
      const ofSource = (source: Json) =>
        withContainer({}, { volumes: [{ name: "v", projected: { sources: [source] } }] })
      const source = "spec.volumes[0].projected.sources[0]"
      const ofDownward = (item: Json) => withContainer({}, { volumes: [{ name: "v", downwardAPI: { items: [item] } }] })
      const named = { fieldRef: { fieldPath: "metadata.name" } }
      const wrong: ReadonlyArray<readonly [where: string, pod: KubeObject]> = [
        [`${source}.downwardAPI.path`, ofSource({ downwardAPI: { items: [named] } })],
        [`${source}.clusterTrustBundle.path`, ofSource({ clusterTrustBundle: {} })],
        [
          `${source}.serviceAccountToken.expirationSeconds`,
          ofSource({ serviceAccountToken: { path: "t", expirationSeconds: 2 ** 32 + 1 } })
        ],
        ["spec.volumes[0].downwardAPI.path", ofDownward({ ...named, path: "../x" })],
        ["spec.volumes[0].downwardAPI.mode", ofDownward({ ...named, path: "x", mode: -1 })],
        [
          "spec.volumes[0].downwardAPI.fieldRef.fieldPath",
          ofDownward({ fieldRef: { fieldPath: "spec.nodeName" }, path: "x" })
        ],
        [
          "spec.volumes[0].downwardAPI",
          ofDownward({
            ...named,
            resourceFieldRef: { resource: "limits.cpu", containerName: "a" },
            path: "x"
          })
        ],
        ["spec.volumes[0].nfs", withContainer({}, { volumes: [{ name: "v", emptyDir: {}, nfs: {} }] })],
        ["metadata.name", podOf({ containers: [main()] }, { name: "A" })],
        ["spec.dnsPolicy", withContainer({}, { dnsPolicy: "Any" })],
        ["spec.dnsConfig.nameservers", withContainer({}, { dnsPolicy: "None", dnsConfig: {} })],
        ["spec.dnsConfig.nameservers", withContainer({}, { dnsConfig: { nameservers: ["::1", "::2", "::3", "::4"] } })],
        [
          "spec.dnsConfig.nameservers[0]",
          withContainer({}, { dnsConfig: { nameservers: ["ns.example", "::2", "::3"] } })
        ],
        ["spec.nodeSelector", withContainer({}, { nodeSelector: { a: "!" } })],
        [
          "spec.securityContext.fsGroupChangePolicy",
          withContainer({}, { securityContext: { fsGroupChangePolicy: "x" } })
        ],
        [
          "spec.securityContext.supplementalGroupsPolicy",
          withContainer({}, { securityContext: { supplementalGroupsPolicy: "x" } })
        ],
        [
          "spec.securityContext.supplementalGroups[1]",
          withContainer({}, { securityContext: { supplementalGroups: [1, -1] } })
        ],
        ["spec.securityContext.fsGroup", withContainer({}, { securityContext: { fsGroup: -1 } })],
        ["spec.readinessGates[0].conditionType", withContainer({}, { readinessGates: [{ conditionType: "!" }] })],
        ["spec.serviceAccountName", withContainer({}, { serviceAccountName: "A" })],
        ["spec.nodeName", withContainer({}, { nodeName: "A" })],
        ["spec.subdomain", withContainer({}, { subdomain: "a.b" })],
        ["spec.hostAliases[0].hostnames[0]", withContainer({}, { hostAliases: [{ ip: "::1", hostnames: ["A"] }] })],
        ["spec.priorityClassName", withContainer({}, { priorityClassName: "A" })],
        ["spec.runtimeClassName", withContainer({}, { runtimeClassName: "A" })],
        ["spec.tolerations[0].key", withContainer({}, { tolerations: [{ key: "!", operator: "Exists" }] })],
        ["spec.tolerations[0].operator", withContainer({}, { tolerations: [{ key: "k", value: "!" }] })],
        ["spec.containers[0].ports[0].hostPort", withContainer({ ports: [{ containerPort: 1, hostPort: 65_536 }] })],
        ["spec.containers[0].env[0].valueFrom", withContainer({ env: [{ name: "A", value: "x", valueFrom: {} }] })],
        [
          "spec.containers[0].env[0].valueFrom.secretKeyRef.name",
          withContainer({
            env: [{ name: "A", valueFrom: { secretKeyRef: { name: "", key: "k" } } }]
          })
        ],
        [
          "spec.containers[0].envFrom[0].prefix",
          withContainer({ envFrom: [{ prefix: "=", secretRef: { name: "s" } }] })
        ],
        ["spec.containers[0].securityContext.runAsGroup", withContainer({ securityContext: { runAsGroup: -1 } })],
        [
          "spec.containers[0].securityContext.seccompProfile.type",
          withContainer({
            securityContext: { seccompProfile: { type: "x" } }
          })
        ],
        [
          "spec.containers[0].lifecycle.preStop.sleep",
          withContainer({ lifecycle: { preStop: { sleep: { seconds: 0 } } } })
        ]
      ]
      for (const [where, pod] of wrong) {
        assert.deepStrictEqual(createCauses("pods", pod).map(({ field }) => field), [where])
      }
    }))

  judged("may have volumes at the edge of what is allowed, also such as nobody here can mount", [
    [
      withContainer({}, {
        volumes: [
          { name: "a", emptyDir: { sizeLimit: 0 } },
          { name: "b", secret: { secretName: "s", defaultMode: 0o777, items: [{ key: "k", path: "p", mode: 0 }] } },
          { name: "c", projected: { sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 600 } }] } },
          { name: "d", projected: { sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 2 ** 32 } }] } },
          { name: "e", nfs: { server: "s", path: "/" } }
        ]
      }),
      []
    ]
  ])

  judged("may ask for nothing, and let a hook sleep for as long as its grace", [
    [withContainer({ resources: { limits: { cpu: 0 } }, ports: [{ containerPort: 1, hostPort: 0 }] }), []],
    [
      withContainer({ ports: [{ containerPort: 65_535 }], securityContext: { runAsUser: 2 ** 31 - 1 } }, {
        activeDeadlineSeconds: 2 ** 31 - 1
      }),
      []
    ],
    [withContainer({ lifecycle: { preStop: { sleep: { seconds: 30 } } } }), []],
    [withContainer({ volumeMounts: [{ mountPath: "/m" }] }), [
      "spec.containers[0].volumeMounts[0].name: Required value",
      "spec.containers[0].volumeMounts[0].name: Not found: \"\""
    ]]
  ])
})
