// The S3 operations that are served.

export type Operation =
  | { readonly name: 'PutObject' }
  | { readonly name: 'CreateMultipartUpload' }
  | { readonly name: 'UploadPart'; readonly uploadId: string; readonly partNumber: number }
  | { readonly name: 'CompleteMultipartUpload'; readonly uploadId: string }
  | { readonly name: 'AbortMultipartUpload'; readonly uploadId: string }
  | {
      readonly name: 'ListParts';
      readonly uploadId: string;
      /** 0 to 1,000. */
      readonly maxParts: number;
      /** Parts with higher numbers are listed. */
      readonly partNumberMarker: number;
    }
  | { readonly name: 'HeadBucket' }
  | { readonly name: 'GetBucketLocation' };
