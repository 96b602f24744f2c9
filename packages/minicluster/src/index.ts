export { MiniclusterError } from "./api/Server.ts"
export {
  type Eviction,
  type ExecFault,
  FaultPlan,
  FaultPlanError,
  type FaultRule,
  type WatchFault
} from "./faults/FaultPlan.ts"
export { type FaultsControl, type FiredFault } from "./faults/Faults.ts"
export { layer, make, type Minicluster, type MiniclusterOptions, MiniclusterService } from "./Minicluster.ts"
