import { assert, describe, it } from "@effect/vitest"
import { workingFolder } from "../src/WorkingFolder.ts"

const npmStart = {
  INIT_CWD: "/home/me/here",
  npm_lifecycle_event: "start",
  npm_package_name: "kuberun-workspace"
}

describe("the working folder", () => {
  it("is the one that npm start was called in, though npm moves to the package's root", () => {
    assert.strictEqual(workingFolder(npmStart, "/home/me/kuberun"), "/home/me/here")
    assert.strictEqual(workingFolder({ ...npmStart, npm_lifecycle_event: "kuberun" }, "/x"), "/home/me/here")
  })

  it("is the current one when another package's script, or another script of this one, runs the command", () => {
    assert.strictEqual(workingFolder({ ...npmStart, npm_package_name: "other" }, "/srv"), "/srv")
    assert.strictEqual(workingFolder({ ...npmStart, npm_lifecycle_event: "test" }, "/srv"), "/srv")
    assert.strictEqual(workingFolder({ INIT_CWD: "/home/me" }, "/srv"), "/srv")
    assert.strictEqual(workingFolder({}, "/srv"), "/srv")
  })
})
