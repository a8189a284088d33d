// Query parameters by which S3 means something else than the object's content.
// Source: Amazon S3 API Reference, "Actions", request syntax of each; `append` is of other stores that speak S3.

const subresources: ReadonlySet<string> = new Set([
  'abac',
  'accelerate',
  'acl',
  'analytics',
  'append',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'list-type',
  'location',
  'logging',
  'metadataConfiguration',
  'metadataInventoryTable',
  'metadataJournalTable',
  'metadataTable',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'select-type',
  'session',
  'tagging',
  'torrent',
  'versioning',
  'versions',
  'website',
]);

/** Whether S3 knows the parameter as a sub-resource that is not served here. */
export function isSubresource(name: string): boolean {
  return subresources.has(name);
}
