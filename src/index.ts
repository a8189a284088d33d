// What an embedder may import.
export type { Config } from './config/config.ts';
export { ConfigError, type ConfigFault } from './config/config-error.ts';
export { createConfig, embeddedConfig, loadConfig, readConfig } from './config/load-config.ts';
export type { ConfigInput } from './config/schema.ts';
export { createLog, type Log } from './log.ts';
export { startProxy, type Proxy, type ProxyOptions } from './proxy.ts';
export { version } from './version.ts';
