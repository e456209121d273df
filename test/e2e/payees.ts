import { KMSClient } from '@aws-sdk/client-kms'
import { Contract, type EventLog, Wallet } from 'ethers'
import { expect, test } from 'vitest'
import { settlementInterface } from '../../functions/settlement/settler/calls.ts'
import { KmsSigner, kmsAddress } from '../../functions/settlement/settler/kms-signer.client.ts'
import { ApiClient, until } from '../../local/example/api-client.ts'
import { onChain } from '../../local/example/deposit.ts'
import { proveAddress } from '../../local/example/people.ts'
import { loop } from './loop.ts'

/** What those meet who are paid: proofs, the watcher, addresses. */
export const payees = (): void => {
  test('a payee proves the claimable amount against the root on chain', async () => {
    const payee = loop.run.payees.find(({ accrued }: { accrued: string }) => BigInt(accrued) > 0n)
    const view = await (await fetch(`${loop.run.api.baseUrl}/payees/${payee.address}`)).json()
    expect(view).toMatchObject({ accrued: payee.accrued, proof: { root: loop.run.epoch.root, amount: payee.accrued } })
  })

  test("the deployed watcher vetoes a root that the settler's own key signed and no log gives", async () => {
    const { settlement: contract } = loop.run.chain.contracts
    const { emulator, outputs } = { emulator: loop.platform.emulator, outputs: loop.platform.deployed.outputs }
    const { endpoint, region } = emulator
    const kms = new KMSClient({ endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
    const keyId = outputs['SettlerKeyArn']!
    const [settler, watcher] = await Promise.all([keyId, outputs['WatcherKeyArn']!].map((id) => kmsAddress(id, kms)))
    expect(watcher).not.toBe(settler)
    await onChain(loop.context, async (rpc) => {
      const settlement = new Contract(contract, settlementInterface, rpc)
      const [root, state, total] = await Promise.all(
        ['currentRoot', 'state', 'total'].map((name) => settlement.getFunction(name)()),
      )
      const [epoch, wrong] = [Number(state.epoch) + 1, `0x${'66'.repeat(32)}`]
      const data = settlementInterface.encodeFunctionData('propose', [epoch, root, wrong, total, wrong, wrong, 0n])
      const { baseFeePerGas } = (await rpc.getBlock('latest'))!
      const fees = { maxFeePerGas: 3n * baseFeePerGas! + 1n, maxPriorityFeePerGas: 1n }
      const nonce = await rpc.getTransactionCount(settler!)
      const signer = new KmsSigner({ keyId, address: settler!, chainId: loop.context.chain.chainId }, kms)
      const { raw } = await signer.sign({ to: contract, data, gasLimit: 400_000n, nonce, ...fees })
      await (await rpc.broadcastTransaction(raw)).wait()
      const veto = await until('the veto', 150, async () => {
        const [found] = await settlement.queryFilter(settlement.filters['Vetoed']!(epoch), 0)
        return found
      })
      expect((veto as EventLog).args[2]).toBe(watcher)
      await expect(settlement.getFunction('activate').staticCall(epoch, wrong)).rejects.toThrow()
      expect(await settlement.getFunction('currentRoot')()).toBe(root)
    })
  })

  test('an address belongs to the wallet that signs for it, and to one account', async () => {
    const [mine, theirs] = Object.values(loop.run.people.contributors) as { token: string; address: string }[]
    const api = new ApiClient(loop.run.api.baseUrl, mine!.token)
    const { id, signingDomain } = await api.get('/accounts/me')
    const wallet = Wallet.createRandom()
    const put = (address: string, proof?: object) => api.put('/accounts/me', { address, ...(proof ? { proof } : {}) })
    const proof = await proveAddress(wallet, id, signingDomain)
    await expect(put(theirs!.address)).rejects.toThrow('"param":"proof"')
    await expect(put(theirs!.address, proof)).rejects.toThrow('address-not-proved')
    const foreign = await proveAddress(wallet, `acc_${'a'.repeat(24)}`, signingDomain)
    await expect(put(wallet.address, foreign)).rejects.toThrow('address-not-proved')
    expect((await api.get('/accounts/me')).address).toBe(mine!.address)
  })
}
