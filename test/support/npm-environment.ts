// The variables with which npm reaches its registry from a test as it does from the tester's shell.

/** The tester's own, but for what the running script and the test runner have added. */
export function npmEnvironment(binFolder?: string): Record<string, string> {
  const added = /^(?:npm_(?:lifecycle|package|command|execpath|node_execpath)|NODE_ENV$|VITEST|INIT_CWD$)/u;
  const own = Object.entries(process.env).filter(([name]) => !added.test(name)) as [string, string][];
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.endsWith('node_modules/.bin'));
  return {
    ...Object.fromEntries(own),
    PATH: [...(binFolder === undefined ? [] : [binFolder]), ...folders].join(':'),
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
  };
}
