// The Node that this program needs.

/** The addon is bound to the ABI of one major version. @throws Error that says which one to install. */
export function requireNode(): void {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (major === 22 && minor >= 18) return;
  throw new Error(`this is Node ${node}; install Node 22, 22.18 or newer, and start it with that`);
}
