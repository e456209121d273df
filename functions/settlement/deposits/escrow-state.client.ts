import { Interface } from 'ethers'
import escrowAbi from '../../../contracts/abi/InferenceEscrow.json' with { type: 'json' }
import { settlementInterface } from '../settler/calls.ts'
import { CheckedContract } from '../settler/chain-identity.client.ts'
import type { EscrowClient, WithdrawalSource } from './follow-withdrawals.ts'
import type { ReconcilePorts } from './reconcile.ts'

const escrowInterface = new Interface(escrowAbi)
/** Calls in flight at once; ethers puts those of one tick into JSON-RPC batches. */
const AT_ONCE = 100

/** What the escrow holds for whom, at a block. */
export class EscrowState
  extends CheckedContract
  implements WithdrawalSource, Pick<ReconcilePorts, 'finalBlock' | 'clients' | 'pool'>
{
  client(address: string, view: 'latest' | 'final'): Promise<EscrowClient> {
    return this.#client(address, view === 'latest' ? 'latest' : this.finality)
  }

  async clients(addresses: readonly string[], block: number): Promise<EscrowClient[]> {
    const found: EscrowClient[] = []
    for (let i = 0; i < addresses.length; i += AT_ONCE)
      found.push(...(await Promise.all(addresses.slice(i, i + AT_ONCE).map((address) => this.#client(address, block)))))
    return found
  }

  async pool(block: number): Promise<{ held: bigint; funded: bigint }> {
    const [[held], [settlement]] = await Promise.all([
      this.#read(escrowInterface, this.identity.contract, 'held', [], block),
      this.#read(escrowInterface, this.identity.contract, 'settlement', [], block),
    ])
    const [funded] = await this.#read(settlementInterface, settlement as string, 'funded', [], block)
    return { held: held as bigint, funded: funded as bigint }
  }

  async #client(address: string, block: string | number): Promise<EscrowClient> {
    const client = await this.#read(escrowInterface, this.identity.contract, 'clients', [address], block)
    return { deposited: client['deposited'], withdrawn: client['withdrawn'], requested: client['requested'] }
  }

  async #read(of: Interface, to: string, name: string, args: unknown[], blockTag: string | number) {
    const data = of.encodeFunctionData(name, args)
    return of.decodeFunctionResult(name, await this.rpc.call({ to, data, blockTag }))
  }
}
