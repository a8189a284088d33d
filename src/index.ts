// What an embedder may import.
export type { Config } from './config/config.ts';
export { ConfigError } from './config/config-error.ts';
export { loadConfig } from './config/load-config.ts';
export { createLog, type Log } from './log.ts';
export { startProxy, type Proxy, type ProxyOptions } from './proxy.ts';
