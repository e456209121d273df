import type { Epochs } from '#ledger/epochs.store'
import type { EpochRecord } from '#schema/epoch'
import type { EpochBook, EpochToSettle } from './ports.ts'

/** More than a year of weekly epochs, or an hour of minute epochs: older ones are settled or the alarm has long rung. */
const LOOK_BACK = 60

/** The ledger's epochs as the settler needs them. */
export class LedgerEpochs implements EpochBook {
  readonly #epochs: Epochs
  constructor(epochs: Epochs) {
    this.#epochs = epochs
  }

  async open(): Promise<EpochToSettle[]> {
    const { items } = await this.#epochs.list(LOOK_BACK)
    const open = items.filter(({ state }) => state === 'closed' || state === 'proposed' || state === 'active')
    return open.map(toSettle).sort((a, b) => a.number - b.number)
  }

  async mark(
    { number, round }: Pick<EpochToSettle, 'number' | 'round'>,
    state: 'proposed' | 'active' | 'settled' | 'vetoed',
  ): Promise<void> {
    await this.#epochs.setState(number, state, round)
  }
}

const toSettle = (record: EpochRecord): EpochToSettle => ({
  number: record.number,
  prevRoot: record.prevRoot,
  root: record.root,
  total: BigInt(record.total),
  debits: BigInt(record.debits),
  receiptsRoot: record.receiptsRoot,
  dataHash: record.dataHash,
  round: record.reopened ?? 0,
})
