/** What KMS returns, in the form that Ethereum takes. Pure. */
import { getAddress, hexlify, recoverAddress, Signature, toBeHex } from 'ethers'

/** Order of secp256k1 (SEC 2, 2.4.1). */
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** Parses a DER SEQUENCE of two INTEGERs (RFC 3279, 2.2.3). @throws RangeError on anything else */
export const parseDer = (der: Uint8Array): { r: bigint; s: bigint } => {
  const integer = (at: number): { value: bigint; end: number } => {
    const length = der[at + 1]
    if (der[at] !== 0x02 || length === undefined || length === 0 || length > 33 || at + 2 + length > der.length)
      throw new RangeError('not a DER signature')
    const end = at + 2 + length
    return { value: BigInt(hexlify(der.subarray(at + 2, end))), end }
  }
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new RangeError('not a DER signature')
  const r = integer(2)
  const s = integer(r.end)
  if (s.end !== der.length) throw new RangeError('not a DER signature')
  return { r: r.value, s: s.value }
}

/**
 * The low-s form with the recovery bit under which `digest` recovers to `address`; Ethereum refuses high s (EIP-2).
 * @throws RangeError when the signature is of another key
 */
export const ethereumSignature = (der: Uint8Array, digest: string, address: string): Signature => {
  const { r, s } = parseDer(der)
  const low = s > N / 2n ? N - s : s
  for (const v of [27, 28]) {
    const signature = Signature.from({ r: toBeHex(r, 32), s: toBeHex(low, 32), v })
    try {
      if (recoverAddress(digest, signature) === getAddress(address)) return signature
    } catch {
      // This bit names no point on the curve.
    }
  }
  throw new RangeError(`the signature is not by ${address}`)
}
