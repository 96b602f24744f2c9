export * as FakeCluster from "./FakeCluster.ts"
export * as FakeSsh from "./FakeSsh.ts"
export * as Process from "./Process.ts"
export * as Time from "./Time.ts"
