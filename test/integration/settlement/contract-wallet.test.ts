import { TypedDataEncoder, toBeHex } from 'ethers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkAddressProof, PAYOUT_ADDRESS, signingDomain } from '../../../functions/accounts/address-proof.ts'
import { contractWallets } from '../../../functions/accounts/contract-wallet.client.ts'
import { LocalChain } from './local-chain.ts'

/** Runtime code of an ERC-1271 wallet: yes to the digest in its storage slot 0, zero to all others. */
const WALLET_CODE = '0x5f5460043514631626ba7e60e01b025f5260205ff3'
const WALLET = `0x${'e1'.repeat(20)}`
let chain: LocalChain
beforeAll(async () => {
  chain = await LocalChain.start(2)
})
afterAll(() => chain?.stop())

test('a contract wallet proves its address on chain (ERC-1271), for the signed account only', async () => {
  const domain = signingDomain('31337', chain.deployment.contracts.settlement)!
  const now = 1_800_000_000
  const proof = { validUntil: now + 60, signature: '0x1234' }
  const account = 'acc_aaaaaaaaaaaaaaaaaaaaaaaa'
  const ask = contractWallets(chain.rpcUrl, 31_337)
  const prove = (by: string, rpc = ask) => checkAddressProof({ account: by, wallet: WALLET, proof, domain, now }, rpc)

  await expect(prove(account)).rejects.toMatchObject({ code: 'address-not-proved' }) // no code there
  const digest = TypedDataEncoder.hash(domain, PAYOUT_ADDRESS, {
    account,
    wallet: WALLET,
    validUntil: proof.validUntil,
  })
  await chain.rpc.send('anvil_setCode', [WALLET, WALLET_CODE])
  await chain.rpc.send('anvil_setStorageAt', [WALLET, toBeHex(0, 32), digest])
  await prove(account)
  await expect(prove('acc_bbbbbbbbbbbbbbbbbbbbbbbb')).rejects.toMatchObject({ code: 'address-not-proved' })
  await chain.rpc.send('anvil_setCode', [WALLET, '0x5f5ffd']) // reverts
  await expect(prove(account)).rejects.toMatchObject({ code: 'address-not-proved' })
  // A node that is another chain's, or gone, proves nothing.
  await expect(prove(account, contractWallets(chain.rpcUrl, 1612))).rejects.toMatchObject({ code: 'unavailable' })
  await expect(prove(account, contractWallets('http://127.0.0.1:9', 31_337))).rejects.toMatchObject({
    code: 'unavailable',
  })
})
