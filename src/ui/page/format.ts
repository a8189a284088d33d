// Sizes, speeds and times as people read them.

const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** Decimal, as discs, networks and most systems count. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (unit + 1 < units.length && Math.round(value) >= 1000) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Such as `12 MB of 300 MB · 4.1 MB/s · 70 s left`; what is not known is left out. */
export function formatProgress(doneBytes: number, totalBytes: number, bytesPerSecond: number | undefined): string {
  const parts = [`${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`];
  if (bytesPerSecond !== undefined && bytesPerSecond > 0) {
    parts.push(`${formatBytes(bytesPerSecond)}/s`, `${formatSeconds((totalBytes - doneBytes) / bytesPerSecond)} left`);
  }
  return parts.join(' · ');
}
