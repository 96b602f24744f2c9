/**
 * The algorithms that are offered. The client's order decides (RFC 4253 §7.1), so the lists matter by what is absent:
 * no group exchange (ssh2 offers it and cannot do it as a server), no compression (a packet of 24 kB may inflate to
 * 25 MB, without compression before login), no SHA-1, no DH group whose arithmetic blocks the thread for long.
 */
import type { Algorithms } from "ssh2"

const gcm = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] as const
const ctr = ["aes128-ctr", "aes192-ctr", "aes256-ctr"] as const

/** Without ssh2's addon ChaCha20 runs at a third of the speed: it is left out, and OpenSSH takes AES-GCM. */
export const offered = (nativeCiphers: boolean): Algorithms => ({
  kex: [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256"
  ],
  serverHostKey: [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256"
  ],
  cipher: nativeCiphers ? [...gcm, "chacha20-poly1305@openssh.com", ...ctr] : [...gcm, ...ctr],
  hmac: [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512"
  ],
  compress: ["none"]
})
