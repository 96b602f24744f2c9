/**
 * Short marks of texts, by SHA-256 (FIPS 180-4): nobody can find a text with the mark of another's.
 *
 * Written out here because this library uses no API of a platform, and what Effect has of it answers asynchronously:
 * names and labels are made in pure functions.
 */

const isPrime = (candidate: number): boolean => {
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) return false
  return true
}

const firstPrimes = Array.from({ length: 312 }, (_, index) => index).filter((number) => number >= 2 && isPrime(number))

const fraction = (root: number): number => Math.floor((root - Math.floor(root)) * 0x1_0000_0000)

/** §5.3.3 and §4.2.2: the first 32 bits of the fractions of square and cube roots of the first primes. */
const initialHash = firstPrimes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)))
const roundConstants = firstPrimes.slice(0, 64).map((prime) => fraction(Math.cbrt(prime)))

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))

/** §5.1.1: a one bit, zeros up to a multiple of 64 bytes, and the length in bits in the last eight of them. */
const padded = (bytes: Uint8Array): DataView => {
  const view = new DataView(new ArrayBuffer(Math.ceil((bytes.length + 9) / 64) * 64))
  new Uint8Array(view.buffer).set(bytes)
  view.setUint8(bytes.length, 0x80)
  view.setBigUint64(view.byteLength - 8, BigInt(bytes.length) * 8n)
  return view
}

/** SHA-256 as eight words of 32 bits. */
export const sha256 = (bytes: Uint8Array): Uint32Array => {
  const message = padded(bytes)
  const hash = Uint32Array.from(initialHash)
  const schedule = new Uint32Array(64)
  const at = (words: ArrayLike<number>, index: number): number => words[index] ?? 0
  for (let block = 0; block < message.byteLength; block += 64) {
    for (let t = 0; t < 16; t++) schedule[t] = message.getUint32(block + t * 4)
    for (let t = 16; t < 64; t++) {
      const [w15, w2] = [at(schedule, t - 15), at(schedule, t - 2)]
      const sigma0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)
      const sigma1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10)
      schedule[t] = at(schedule, t - 16) + sigma0 + at(schedule, t - 7) + sigma1
    }
    let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => at(hash, index)) as Eight
    for (let t = 0; t < 64; t++) {
      const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
      const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
      const first = (h + sum1 + ((e & f) ^ (~e & g)) + at(roundConstants, t) + at(schedule, t)) | 0
      const second = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0]
    }
    for (const [index, word] of [a, b, c, d, e, f, g, h].entries()) hash[index] = at(hash, index) + word
  }
  return hash
}

type Eight = [number, number, number, number, number, number, number, number]

/** Kubernetes' own alphabet for generated names: no vowels, so that no words appear. */
export const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789"

/** Of so many characters, which hold 95 bits. */
export const fingerprintLength = 20

/** The text's UTF-16 units: unlike in UTF-8, no two texts are the same, not even broken ones. */
const units = (text: string): Uint8Array => {
  const view = new DataView(new ArrayBuffer(text.length * 2))
  for (let index = 0; index < text.length; index++) view.setUint16(index * 2, text.charCodeAt(index))
  return new Uint8Array(view.buffer)
}

/** Twenty characters, fit for every kind of name, that stand for the text. */
export const fingerprint = (text: string): string => {
  let rest = sha256(units(text)).slice(0, 4).reduce((number, word) => (number << 32n) | BigInt(word), 0n)
  let mark = ""
  for (let place = 0; place < fingerprintLength; place++) {
    mark += nameAlphabet[Number(rest % 27n)]
    rest /= 27n
  }
  return mark
}

const marked = new RegExp(`-[${nameAlphabet}]{${fingerprintLength}}$`)

/** Whether a text ends as one that had to be changed does. Such a text is always changed, so that it is nobody else's. */
export const isMarked = (text: string): boolean => marked.test(text)
