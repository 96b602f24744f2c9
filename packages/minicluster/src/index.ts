export {
  type Eviction,
  type ExecFault,
  FaultPlan,
  FaultPlanError,
  type FaultRule,
  type WatchFault
} from "./FaultPlan.ts"
export { type FaultsControl, type FiredFault } from "./Faults.ts"
export { layer, make, type Minicluster, type MiniclusterOptions, MiniclusterService } from "./Minicluster.ts"
export { MiniclusterError } from "./Server.ts"
