import { Wallet } from 'ethers'
import { describe, expect, test } from 'vitest'
import {
  type AddressClaim,
  checkAddressProof,
  PAYOUT_ADDRESS,
  signingDomain,
} from '../../../functions/accounts/address-proof.ts'

const wallet = new Wallet(`0x${'11'.repeat(32)}`)
const other = new Wallet(`0x${'22'.repeat(32)}`)
const domain = signingDomain('1612', `0x${'Ab'.repeat(20)}`)!
const NOW = 1_800_000_000
const ACCOUNT = 'acc_aaaaaaaaaaaaaaaaaaaaaaaa'
const nobody = async () => false

const claimOf = async (
  signer: Wallet,
  signed: { account?: string; wallet?: string; validUntil?: number; domain?: object } = {},
): Promise<AddressClaim> => {
  const validUntil = signed.validUntil ?? NOW + 600
  const message = { account: signed.account ?? ACCOUNT, wallet: signed.wallet ?? wallet.address, validUntil }
  const signature = await signer.signTypedData({ ...domain, ...signed.domain }, PAYOUT_ADDRESS, message)
  const proof = { validUntil, signature }
  return { account: ACCOUNT, wallet: wallet.address.toLowerCase(), proof, domain, now: NOW }
}
const check = (claim: AddressClaim) => checkAddressProof(claim, nobody)
const refused = { code: 'address-not-proved', param: 'proof.signature' }

describe('the proof of a payout address', () => {
  test("is the wallet's signature over account, wallet, time, chain and settlement", async () => {
    await check(await claimOf(wallet))
  })
  test.each([
    ['another wallet', other, {}],
    ['another account', wallet, { account: 'acc_bbbbbbbbbbbbbbbbbbbbbbbb' }],
    ['another address', wallet, { wallet: other.address }],
    ['another chain', wallet, { domain: { chainId: 1 } }],
    ['another deployment', wallet, { domain: { verifyingContract: other.address } }],
  ])('signed by or for %s is refused', async (_name, signer, signed) => {
    await expect(check(await claimOf(signer, signed))).rejects.toMatchObject(refused)
  })
  test('is refused when it was changed, is no signature, or promises another time than it was signed for', async () => {
    const claim = await claimOf(wallet)
    const { signature, validUntil } = claim.proof!
    for (const proof of [
      { validUntil, signature: '0x12' },
      { validUntil, signature: signature.replace(/^0x../, (head) => (head === '0x00' ? '0x01' : '0x00')) },
      { validUntil: validUntil + 1, signature },
    ])
      await expect(check({ ...claim, proof })).rejects.toMatchObject(refused)
  })
  test('is refused when it is over, or valid for more than an hour', async () => {
    for (const validUntil of [NOW - 1, NOW + 3601])
      await expect(check(await claimOf(wallet, { validUntil }))).rejects.toMatchObject({ param: 'proof.validUntil' })
  })
  test('is asked for when it is missing, and cannot be given without a chain', async () => {
    const claim = await claimOf(wallet)
    await expect(check({ ...claim, proof: undefined })).rejects.toMatchObject({
      code: 'invalid-request',
      param: 'proof',
    })
    await expect(check({ ...claim, domain: signingDomain(undefined, undefined) })).rejects.toMatchObject({
      code: 'wrong-state',
    })
  })
})
