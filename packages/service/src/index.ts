/**
 * The service as a library: what the `kuberun` command is made of, for those who want to start it themselves.
 */
export * as Authentication from "./Authentication.ts"
export * as AuthorizedKeys from "./AuthorizedKeys.ts"
export * as ConfigFile from "./ConfigFile.ts"
export * as ListenAddress from "./ListenAddress.ts"
export * as Logging from "./Logging.ts"
export * as Service from "./Service.ts"
export { StartError, StartErrorReason } from "./StartError.ts"
