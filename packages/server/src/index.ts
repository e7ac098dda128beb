export { type Address, addressText } from "./address.ts";
export { SETTINGS, type ServerConfig, type SettingName } from "./config.ts";
export {
  type ConfigFile,
  type ConfigSources,
  configFlags,
  configReference,
  effectiveConfig,
  type LoadedConfig,
  loadConfig,
  readConfigFile,
} from "./config-load.ts";
export { createLog, type ReplicaLog } from "./log.ts";
export { makeDirectory } from "./make-directory.ts";
export { directoryError } from "./platform-errors.ts";
export { type FormatRequest, formatDirectory } from "./replica-directory.ts";
export { type Ended, type ServedReplica, serve } from "./serve.ts";
export { VERSION } from "./version.ts";
