import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'
import type { EpochFile } from './close-epoch.ts'
import type { Keccak } from './keccak.ts'
import { EARNED, LEAF_BYTES, packLeaf, unpackLeaf } from './leaf.ts'
import { LeafIndex } from './leaf-index.ts'
import { emptyRoots, hex } from './merkle-tree.ts'
import { places } from './places.ts'
import { receiptPosition } from './receipts-tree.ts'

const HASH = 32

export interface LeafProof {
  epoch: number
  root: string
  index: number
  amount: bigint
  siblings: string[]
}

/** Proofs out of the closed epochs in S3: one sibling a level, by range reads. */
export class Proofs {
  readonly #objects: Objects
  readonly #keccak: Keccak
  constructor(objects: Objects, keccak: Keccak) {
    this.#objects = objects
    this.#keccak = keccak
  }

  /** Cumulative earnings of an address in an epoch's tree; undefined when it has no leaf there. */
  async payee(epoch: number, address: string): Promise<LeafProof | undefined> {
    const [file, packed] = await Promise.all([
      this.#epoch(epoch),
      this.#objects.bytes(places.closed(epoch, 'balances.bin')),
    ])
    const key = packLeaf({ kind: EARNED, address, amount: 0n }).subarray(0, 21)
    const index = packed.length === 0 ? -1 : new LeafIndex(packed).find(key)
    if (index < 0) return undefined
    const { amount } = unpackLeaf(packed.subarray(0, packed.length - (packed.length % LEAF_BYTES)), index)
    return {
      epoch,
      root: file.root,
      index,
      amount,
      siblings: await this.#siblings(epoch, 'tree', index, file.treeDepth),
    }
  }

  /** Path of a receipt to the receipts root of its epoch; undefined when it is not in that epoch. */
  async receipt(
    epoch: number,
    receiptId: string,
  ): Promise<{ file: EpochFile; index: number; siblings: string[] } | undefined> {
    const [file, ids] = await Promise.all([
      this.#epoch(epoch),
      this.#objects.bytes(places.closed(epoch, 'receipts/ids.bin')),
    ])
    const index = receiptPosition(ids, receiptId)
    if (index < 0) return undefined
    const depth = Math.max(1, Math.ceil(Math.log2(Math.max(1, ids.length / 12))))
    return { file, index, siblings: await this.#siblings(epoch, 'receipts', index, depth) }
  }

  async #epoch(epoch: number): Promise<EpochFile> {
    return (await this.#objects.json(places.closed(epoch, 'epoch.json'))) as EpochFile
  }

  #siblings(epoch: number, tree: 'tree' | 'receipts', index: number, depth: number): Promise<string[]> {
    const empty = emptyRoots(this.#keccak, depth)
    return Promise.all(
      Array.from({ length: depth }, async (_, level) => {
        const key = places.closed(epoch, `${tree}/level-${level}.bin`)
        const at = (Math.floor(index / 2 ** level) ^ 1) * HASH
        const size = (await this.#objects.head(key))?.bytes
        if (size === undefined) throw new OpenLedgerError('unavailable', `Level ${level} of epoch ${epoch} is missing.`)
        return hex(at < size ? await this.#objects.bytes(key, { range: [at, at + HASH] }) : empty[level]!)
      }),
    )
  }
}
