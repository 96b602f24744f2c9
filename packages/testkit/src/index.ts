export * as FakeCluster from "./FakeCluster.ts"
export * as FakeSsh from "./FakeSsh.ts"
