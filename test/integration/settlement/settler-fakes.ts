/** The settler's store, files, book and clock in memory, with the conditions of the real ones. */
import { keccak256, type Wallet } from 'ethers'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { LEAF_BYTES, packLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import { buildTree, hex, rootOf, type Tree } from '../../../functions/settlement/epoch/merkle-tree.ts'
import type { Fees, Item } from '../../../functions/settlement/settler/item.ts'
import { itemName } from '../../../functions/settlement/settler/item.ts'
import {
  type EpochBook,
  type EpochFiles,
  type EpochToSettle,
  LeaseLost,
  type SettlementStore,
  type TransactionSigner,
} from '../../../functions/settlement/settler/ports.ts'

const DEPTH = 20
const keccak = await loadKeccak()

/** What survives crashes: the table and the bucket. */
export class Durable {
  readonly items = new Map<string, string>()
  next = 0
  token = 0
  readonly pushes = new Map<number, number[][]>()
  readonly states = new Map<number, string>()
  readonly trees = new Map<number, { packed: Uint8Array; tree: Tree }>()
  readonly epochs: EpochToSettle[] = []
}

const write = (item: Item) => JSON.stringify(item, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))
const read = (text: string): Item =>
  JSON.parse(text, (_, v) => (typeof v === 'string' && /^\d+n$/.test(v) ? BigInt(v.slice(0, -1)) : v))

export class MemoryStore implements SettlementStore {
  readonly #durable: Durable
  readonly #token: number
  constructor(durable: Durable) {
    this.#durable = durable
    this.#token = ++durable.token
  }

  async plan(item: Item): Promise<Item> {
    const stored = this.#durable.items.get(this.#key(item))
    if (!stored) return this.#put(item)
    const found = read(stored)
    if (found.root === item.root && found.round === item.round) return found
    if (found.state !== 'VETOED') throw new Error('under way with another root')
    return this.#put({ ...item, version: found.version })
  }
  async save(item: Item): Promise<Item> {
    return this.#put(item)
  }
  async nextNonce(): Promise<number> {
    return this.#durable.next
  }
  async giveNonce(item: Item, nonce: number): Promise<Item> {
    if (nonce < this.#durable.next) throw new LeaseLost('nonce')
    const written = this.#put({ ...item, nonce })
    this.#durable.next = nonce + 1
    return written
  }

  #key(item: Item): string {
    return `${item.epoch}/${itemName(item)}`
  }
  #put(item: Item): Item {
    if (this.#token !== this.#durable.token) throw new LeaseLost('fenced')
    const stored = this.#durable.items.get(this.#key(item))
    if ((stored ? read(stored).version : 0) !== item.version) throw new LeaseLost('version')
    const next = { ...item, version: item.version + 1 }
    this.#durable.items.set(this.#key(item), write(next))
    return next
  }
}

export const memoryFiles = (durable: Durable): EpochFiles => ({
  balances: async (epoch) => durable.trees.get(epoch)!.packed,
  level: async (epoch, level) => durable.trees.get(epoch)!.tree.levels[level]!,
  depth: async () => DEPTH,
  pushes: async (epoch) => durable.pushes.get(epoch),
  fixPushes: async (epoch, batches) => {
    if (!durable.pushes.has(epoch)) durable.pushes.set(epoch, batches)
    return durable.pushes.get(epoch)!
  },
})

export const memoryBook = (durable: Durable): EpochBook => ({
  open: async () => durable.epochs.filter(({ number }) => !/settled|vetoed/.test(durable.states.get(number) ?? '')),
  mark: async ({ number }, state) => {
    durable.states.set(number, state)
  },
})

export const walletSigner = (wallet: Wallet, chainId = 31_337): TransactionSigner => ({
  address: wallet.address,
  sign: async (call: { to: string; data: string; gasLimit: bigint; nonce: number } & Fees) => {
    const raw = await wallet.signTransaction({ ...call, type: 2, chainId })
    return { raw, hash: keccak256(raw) }
  },
})

/** Cumulative balances of payees and one client, closed into epochs. */
export class Ledger {
  readonly earned = new Map<string, bigint>()
  readonly #order: { kind: 1 | 2; address: string }[] = []
  #spent = 0n
  readonly #client: string
  readonly #durable: Durable
  constructor(durable: Durable, client: string) {
    this.#durable = durable
    this.#client = client.toLowerCase()
    this.#order.push({ kind: 2, address: this.#client })
  }

  pay(address: string, amount: bigint): void {
    if (!this.earned.has(address)) this.#order.push({ kind: 1, address })
    this.earned.set(address, (this.earned.get(address) ?? 0n) + amount)
    this.#spent += amount
  }

  /** The vetoed epoch is closed again, to the same root. */
  reopen(number: number): void {
    const epoch = this.#durable.epochs.find((each) => each.number === number)!
    epoch.round++
    this.#durable.states.set(number, 'closed')
  }

  /** Closes what was earned so far; replaces the last epoch if it was vetoed. */
  close(change: Partial<EpochToSettle> = {}): EpochToSettle {
    const { epochs, trees, states } = this.#durable
    while (epochs.length > 0 && states.get(epochs.at(-1)!.number) === 'vetoed') states.delete(epochs.pop()!.number)
    const previous = epochs.at(-1)
    const packed = new Uint8Array(this.#order.length * LEAF_BYTES)
    this.#order.forEach(({ kind, address }, i) => {
      const amount = kind === 2 ? this.#spent : this.earned.get(address)!
      packLeaf({ kind, address, amount }, packed, i * LEAF_BYTES)
    })
    const tree = buildTree(keccak, packed, DEPTH)
    const number = (previous?.number ?? 0) + 1
    const epoch: EpochToSettle = {
      number,
      prevRoot: previous?.root ?? `0x${'0'.repeat(64)}`,
      root: hex(rootOf(keccak, tree)),
      total: this.#spent,
      debits: this.#spent - (previous?.total ?? 0n),
      receiptsRoot: keccak256(`0x${number.toString(16).padStart(8, '0')}`),
      dataHash: keccak256(`0x${number.toString(16).padStart(16, '0')}`),
      round: 0,
      ...change,
    }
    trees.set(number, { packed, tree })
    epochs.push(epoch)
    return epoch
  }
}
