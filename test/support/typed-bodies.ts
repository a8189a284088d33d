// Bodies that begin as files of a type do.
import { createRandomBody } from './random-body.ts';

const mib = 1024 * 1024;

export const png = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(2000, 7)]);
export const elf = Buffer.concat([Buffer.from('7f454c4602010100', 'hex'), Buffer.alloc(2000)]);

/** Two parts' worth, with a type's own first bytes. */
export const large = (head: Buffer): Buffer => Buffer.concat([head, createRandomBody('large', 6 * mib).bytes()]);
