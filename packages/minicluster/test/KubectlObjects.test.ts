/** Objects as kubectl makes, shows, changes and deletes them: everything but what needs a pod's container. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, together } from "./support/Kubectl.ts"

const configMap = (name: string, data: object, metadata: object = {}): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...metadata },
  data
})

const claim = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } }
}

const lease = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name: "leader" },
  spec: { holderIdentity: "me", leaseDurationSeconds: 15 }
}

const described = (name: string, ...rest: ReadonlyArray<string>): ReadonlyArray<string> => [
  `Name:  ${name}`,
  "Namespace:  default",
  "Labels:  <none>",
  "Annotations:  <none>",
  ...rest
]

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("creates each kind of object by its own command, tries it dry first, shows and describes it", () =>
      Effect.gen(function*() {
        const { run, says, write } = yield* Kubectl
        const both = (args: string, printed: string) =>
          Effect.andThen(
            says(`create ${args} --dry-run=server`, `${printed} created (server dry run)`),
            says(`create ${args}`, `${printed} created`)
          )
        const rbac = "rbac.authorization.k8s.io"
        write("claim.json", claim)
        write("lease.json", lease)
        write("notes.txt", "of a file\n")
        yield* together(
          both("configmap cm --from-literal=a=1", "configmap/cm"),
          both("configmap filed --from-file=notes.txt --from-literal=x=y", "configmap/filed"),
          both("secret generic pw --from-literal=password=secret", "secret/pw"),
          both("secret docker-registry pull --docker-server=x --docker-username=u --docker-password=p", "secret/pull"),
          both("serviceaccount robot", "serviceaccount/robot"),
          both("namespace work", "namespace/work"),
          both("role reader --verb=get,list --resource=pods,pods/log", `role.${rbac}/reader`),
          both(
            "rolebinding readers --role=reader --user=bob --serviceaccount=default:robot",
            `rolebinding.${rbac}/readers`
          ),
          both(
            "clusterrole nodes --verb=get --resource=nodes --non-resource-url=/metrics",
            `clusterrole.${rbac}/nodes`
          ),
          both("clusterrolebinding nodes --clusterrole=nodes --group=dev", `clusterrolebinding.${rbac}/nodes`),
          both("-f claim.json", "persistentvolumeclaim/data"),
          both("-f lease.json", "lease.coordination.k8s.io/leader"),
          says("create configmap shown --from-literal=a=1 --dry-run=client -o yaml", [
            "apiVersion: v1",
            "data:",
            `  a: "1"`,
            "kind: ConfigMap",
            "metadata:",
            "  creationTimestamp: null",
            "  name: shown"
          ]),
          says("get configmap shown --ignore-not-found", "")
        )
        yield* together(
          says("get cm cm", ["NAME  DATA  AGE", "cm  1  Ns"]),
          says("get secret pw", ["NAME  TYPE  DATA  AGE", "pw  Opaque  1  Ns"]),
          says("get secret pull -o jsonpath={.type}", "kubernetes.io/dockerconfigjson"),
          says("get sa", ["NAME  SECRETS  AGE", "default  0  Ns", "robot  0  Ns"]),
          says("get ns work", ["NAME  STATUS  AGE", "work  Active  Ns"]),
          says("get role reader", /^NAME +CREATED AT\nreader +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n$/),
          says("get rolebinding -o wide", [
            "NAME  ROLE  AGE  USERS  GROUPS  SERVICEACCOUNTS",
            "readers  Role/reader  Ns  bob  default/robot"
          ]),
          says("get clusterrole nodes -o name", `clusterrole.${rbac}/nodes`),
          says("get clusterrolebinding nodes", ["NAME  ROLE  AGE", "nodes  ClusterRole/nodes  Ns"]),
          says(
            "get pvc",
            /^NAME +STATUS +VOLUME +CAPACITY +ACCESS MODES +STORAGECLASS +VOLUMEATTRIBUTESCLASS +AGE\ndata +Bound +pvc-[-0-9a-f]{36} +1Gi +RWO +standard +<unset> +\d+s\n$/
          ),
          says("get lease", ["NAME  HOLDER  AGE", "leader  me  Ns"]),
          says(
            "describe cm cm",
            described(
              "cm",
              "",
              "Data",
              "====",
              "a:",
              "----",
              "1",
              "",
              "",
              "BinaryData",
              "====",
              "",
              "Events:  <none>"
            )
          ),
          says(`get cm filed -o jsonpath='{.data.x} {.data.notes\\.txt}'`, "y of a file"),
          says("describe secret pw", described("pw", "", "Type:  Opaque", "", "Data", "====", "password:  6 bytes")),
          says(
            "describe sa robot",
            described(
              "robot",
              "Image pull secrets:  <none>",
              "Mountable secrets:  <none>",
              "Tokens:  <none>",
              "Events:  <none>"
            )
          ),
          says(
            "describe ns work",
            /^Name: +work\nLabels: +kubernetes.io\/metadata.name=work\nAnnotations: +<none>\nStatus: +Active\n/
          ),
          says(
            "describe pvc data",
            /Status: +Bound\nVolume: +pvc-[^]*Capacity: +1Gi\nAccess Modes: +RWO\nVolumeMode: +Filesystem\nUsed By: +<none>\n/
          ),
          says("describe role reader", [
            "Name:  reader",
            "Labels:  <none>",
            "Annotations:  <none>",
            "PolicyRule:",
            "  Resources  Non-Resource URLs  Resource Names  Verbs",
            "  ---------  -----------------  --------------  -----",
            "  pods/log  []  []  [get list]",
            "  pods  []  []  [get list]"
          ]),
          says("describe rolebinding readers", [
            "Name:  readers",
            "Labels:  <none>",
            "Annotations:  <none>",
            "Role:",
            "  Kind:  Role",
            "  Name:  reader",
            "Subjects:",
            "  Kind  Name  Namespace",
            "  ----  ----  ---------",
            "  User  bob",
            "  ServiceAccount  robot  default"
          ]),
          says("describe lease leader", /^Name: +leader\n[^]*Holder Identity: +me\n +Lease Duration Seconds: +15\n/)
        )
        const { out: token } = yield* run("create token robot --duration=20m")
        assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
        yield* says(
          `auth whoami --token=${token} -o jsonpath={.status.userInfo.username}`,
          "system:serviceaccount:default:robot"
        )
      }))

    it.effect("shows objects in each of its forms, sorted, selected and from all namespaces", () =>
      Effect.gen(function*() {
        const { fails, says, write } = yield* Kubectl
        const list = {
          apiVersion: "v1",
          kind: "List",
          items: [["a", "2"], ["b", "1"]].map(([name = "", rank]) =>
            configMap(name, { rank }, { labels: { set: "forms" }, namespace: "kube-public" })
          )
        }
        write("list.json", list)
        yield* says("apply -f list.json", ["configmap/a created", "configmap/b created"])
        const get = "get cm -n kube-public -l set=forms"
        yield* together(
          says(`${get} -o name`, ["configmap/a", "configmap/b"]),
          says(`${get} --sort-by=.data.rank --no-headers`, /^b +1 +\d+s\na +1 +\d+s\n$/),
          says(`${get} -o jsonpath='{.items[*].data.rank}'`, "2 1"),
          says(`${get} -o jsonpath='{range .items[*]}{.metadata.name}={.data.rank};{end}'`, "a=2;b=1;"),
          says(`${get} -o custom-columns=NAME:.metadata.name,RANK:.data.rank,NO:.none`, [
            "NAME  RANK  NO",
            "a  2  <none>",
            "b  1  <none>"
          ]),
          says(`${get} -o go-template='{{range .items}}{{.metadata.name}} {{end}}'`, "a b"),
          says(
            `${get} -o json`,
            /^\{\n    "apiVersion": "v1",\n    "items": \[\n[^]*"kind": "List",\n    "metadata": \{\n        "resourceVersion": ""\n    \}\n\}\n$/
          ),
          says(
            `${get} -o yaml`,
            /^apiVersion: v1\nitems:\n- apiVersion: v1\n  data:\n    rank: "2"\n  kind: ConfigMap\n[^]*\nkind: List\nmetadata:\n  resourceVersion: ""\n$/
          ),
          says(`${get} --chunk-size=1 -o name`, ["configmap/a", "configmap/b"]),
          says("get cm -A -l 'set in (forms,other),none notin (x)'", [
            "NAMESPACE  NAME  DATA  AGE",
            "kube-public  a  1  Ns",
            "kube-public  b  1  Ns"
          ]),
          says("get cm,ns --field-selector=metadata.name=kube-public -o name", "namespace/kube-public"),
          says("get cm a -n kube-public --server-print=false", ["NAME  AGE", "a  Ns"]),
          says("get cm/a secret/none -n kube-public --ignore-not-found", ["NAME  DATA  AGE", "a  1  Ns"]),
          says(
            "get ns -o name",
            /^namespace\/default\nnamespace\/kube-node-lease\nnamespace\/kube-public\nnamespace\/kube-system\n/
          ),
          fails("get cm -n nowhere", "No resources found in nowhere namespace.", 0)
        )
      }))

    it.effect("judges who may what", () =>
      Effect.gen(function*() {
        const { fails, says, write } = yield* Kubectl
        write("viewer.json", {
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "Role",
          metadata: { name: "viewer", namespace: "default" },
          rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]
        })
        yield* together(
          says("auth whoami", [
            "ATTRIBUTE  VALUE",
            "Username  kubernetes-admin",
            "Groups  [system:masters system:authenticated]"
          ]),
          says("auth can-i create pods", "yes"),
          says("auth reconcile -f viewer.json", "role.rbac.authorization.k8s.io/viewer reconciled"),
          says("auth can-i '*' '*'", "yes"),
          Effect.map(Effect.flatMap(Kubectl, ({ run }) => run("auth can-i delete pods --as=nobody")), ({ code, out }) =>
            assert.deepStrictEqual([code, out], [1, "no\n"])),
          says(
            "auth can-i --list --as=nobody",
            /^Resources +Non-Resource URLs +Resource Names +Verbs\nselfsubjectreviews.authentication.k8s.io +\[\] +\[\] +\[create\]\n/
          ),
          fails(
            "get pods --as=nobody",
            `Error from server (Forbidden): pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "default"`
          )
        )
      }))
  })
})
