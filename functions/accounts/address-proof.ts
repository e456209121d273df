import { TypedDataEncoder, verifyTypedData } from 'ethers'
import type { AddressProof, SigningDomain } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'

/** EIP-712 struct that a wallet signs to be paid for an account. The account id keeps it from serving another account. */
export const PAYOUT_ADDRESS = {
  PayoutAddress: [
    { name: 'account', type: 'string' },
    { name: 'wallet', type: 'address' },
    { name: 'validUntil', type: 'uint256' },
  ],
}

/** Seconds that a proof may be valid for. */
const LONGEST = 3600

/** Chain and settlement contract keep a signature from serving another deployment. */
export const signingDomain = (chainId: string | undefined, settlement: string | undefined): SigningDomain | null =>
  chainId && settlement
    ? { name: 'OpenLedger', version: '1', chainId: Number(chainId), verifyingContract: settlement.toLowerCase() }
    : null

/** Does a contract wallet accept the signature of this digest (ERC-1271)? */
export type ContractWallet = (wallet: string, digest: string, signature: string) => Promise<boolean>

export interface AddressClaim {
  account: string
  wallet: string
  proof: AddressProof | undefined
  domain: SigningDomain | null
  /** Unix seconds. */
  now: number
}

/**
 * Returns when the wallet signed for this account: by its key (EIP-712), or by its contract (ERC-1271). Throws
 * `invalid-request` for a missing or ill-timed proof and `address-not-proved` for a wrong signature.
 */
export const checkAddressProof = async (claim: AddressClaim, contractWallet: ContractWallet): Promise<void> => {
  const { account, wallet, proof, domain, now } = claim
  if (!domain) throw new OpenLedgerError('wrong-state', 'This deployment has no chain yet: no address can be proved.')
  if (!proof)
    throw new OpenLedgerError(
      'invalid-request',
      'proof: the wallet must sign PayoutAddress(string account,address wallet,uint256 validUntil) for the signingDomain of GET /accounts/me.',
      { param: 'proof' },
    )
  if (proof.validUntil < now || proof.validUntil > now + LONGEST)
    throw new OpenLedgerError('invalid-request', `proof.validUntil: must lie within the next ${LONGEST} seconds`, {
      param: 'proof.validUntil',
    })
  const message = { account, wallet, validUntil: proof.validUntil }
  if (recovered(domain, message, proof.signature) === wallet) return
  const digest = TypedDataEncoder.hash(domain, PAYOUT_ADDRESS, message)
  if (await contractWallet(wallet, digest, proof.signature)) return
  throw new OpenLedgerError('address-not-proved', 'The signature is not this wallet’s word for this account.', {
    param: 'proof.signature',
  })
}

/** Lower-case signer, or undefined where the bytes are no ECDSA signature. */
const recovered = (domain: SigningDomain, message: object, signature: string): string | undefined => {
  try {
    return verifyTypedData(domain, PAYOUT_ADDRESS, message, signature).toLowerCase()
  } catch {
    return undefined
  }
}
