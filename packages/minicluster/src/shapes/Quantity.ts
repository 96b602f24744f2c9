/** `resource.Quantity` (`k8s.io/apimachinery/pkg/api/resource`): parsed exactly, written in its canonical form. */

const binary = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
const decimal: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const nano = 1_000_000_000n

export interface Quantity {
  /** In billionths, which is as fine as a quantity gets. */
  readonly amount: bigint
  readonly format: "binary" | "decimal" | "exponent"
}

/** Nothing for what is no quantity. */
export const parseQuantity = (value: unknown): Quantity | undefined => {
  const parts = /^([+-]?)(\d{0,40})\.?(\d{0,40})(?:[eE]([+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]))?$/.exec(String(value))
  if (parts === null) return undefined
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = parts
  if (whole === "" && fraction === "") return undefined
  const power = binary.indexOf(suffix)
  const scale = 9 - fraction.length + (exponent === undefined ? (decimal[suffix] ?? 0) : Number(exponent))
  const digits = BigInt(whole + fraction) * (power > 0 ? 1024n ** BigInt(power) : 1n)
  // What is finer than a billionth is rounded up, away from nothing.
  const divisor = 10n ** BigInt(Math.max(0, -scale))
  const amount = scale >= 0 ? digits * 10n ** BigInt(scale) : (digits + divisor - 1n) / divisor
  return {
    amount: sign === "-" ? -amount : amount,
    format: power > 0 ? "binary" : exponent === undefined ? "decimal" : "exponent"
  }
}

export const writeQuantity = ({ amount, format }: Quantity): string => {
  if (amount === 0n) return "0"
  if (format === "binary" && amount % nano === 0n && (amount >= 1024n * nano || amount <= -1024n * nano)) {
    let [rest, power] = [amount / nano, 0]
    while (rest % 1024n === 0n && power < binary.length - 1) [rest, power] = [rest / 1024n, power + 1]
    return `${rest}${binary[power]}`
  }
  let [rest, power] = [amount, -9]
  while (rest % 1000n === 0n && power < 18) [rest, power] = [rest / 1000n, power + 3]
  if (format === "exponent") return power === 0 ? `${rest}` : `${rest}e${power}`
  return `${rest}${Object.keys(decimal).find((suffix) => decimal[suffix] === power)}`
}

/** The form in which an API server stores it; what is no quantity stays as it is. */
export const canonical = (value: unknown): unknown => {
  const quantity = parseQuantity(value)
  return quantity === undefined ? value : writeQuantity(quantity)
}
