export { layer, make, type Minicluster, type MiniclusterOptions, MiniclusterService } from "./Minicluster.ts"
export { MiniclusterError } from "./Server.ts"
