// An auth block whose secret is in the environment.
export const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';
export const env = { JWT_SECRET: secret };
export const auth = 'auth: { jwt: { secret: "${JWT_SECRET}" } }';
