import { defineConfig } from "vitest/config"

const source = ["@kuberun/source"]

const project = (name: string, timeoutMillis = 20_000) => ({
  resolve: { conditions: source },
  ssr: { resolve: { conditions: source } },
  test: {
    name,
    root: `packages/${name}`,
    include: ["test/**/*.test.ts"],
    testTimeout: timeoutMillis,
    hookTimeout: timeoutMillis
  }
})

export default defineConfig({
  test: {
    // Many tests wait more than they work: for a Lease to lapse, a network to be given up, an image.
    maxWorkers: 3,
    projects: [
      project("kuberun", 60_000),
      project("kubernetes", 60_000),
      project("testkit", 60_000),
      project("ssh", 60_000),
      project("minicluster", 60_000),
      project("service", 60_000),
      project("conformance", 120_000)
    ]
  }
})
