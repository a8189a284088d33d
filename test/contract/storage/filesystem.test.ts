// The storage contract, kept by plain files.
import { makeFilesystemStorage } from './filesystem-under-test.ts';
import { describeStorageContract } from './storage-contract.ts';

describeStorageContract('filesystem', makeFilesystemStorage);
