// A certificate that was made for these tests, and its key: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
import { createPrivateKey } from 'node:crypto';

export const certificatePem = `-----BEGIN CERTIFICATE-----
MIIBgjCCASmgAwIBAgIUZolEcM7HvmghxVmGIXRDHkU8IAMwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLdG9rZW5zLnRlc3QwIBcNMjYxMTIxMDgxODQ1WhgPMjEyNjEw
MjgwODE4NDVaMBYxFDASBgNVBAMMC3Rva2Vucy50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEemlTd2J8Z2FpsvFdvAwzwCIbJZ9yq7anVnJyDSaz7gg7w21U
TF5uqVRVx72GmOc1gG8oN6M4isqEjbE/fjlwTqNTMFEwHQYDVR0OBBYEFKLVe3+G
F7rFEWWmi56NpW7wIufXMB8GA1UdIwQYMBaAFKLVe3+GF7rFEWWmi56NpW7wIufX
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgAXcerl57lPO8DDLW
ZEIdxeKQW6JUNKFD5TIR/fEi/mgCICxTjkDsC6cmcrpCnwfuV7Wnpm7jNxbdHy8Y
Mbh0xeoQ
-----END CERTIFICATE-----
`;

export const certificateKey = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    x: 'emlTd2J8Z2FpsvFdvAwzwCIbJZ9yq7anVnJyDSaz7gg',
    y: 'O8NtVExebqlUVce9hpjnNYBvKDejOIrKhI2xP345cE4',
    crv: 'P-256',
    d: 'gJHLbivOKyOGT2RQlluG4zGgxkCyCvAiIa4UphujHi8',
  },
});
