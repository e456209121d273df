/**
 * One transaction that an epoch needs, and how far it got. Every field that matters is written before the step that
 * depends on it: the nonce before signing, the signed bytes before broadcasting (settlement.md 3).
 */
export type ItemKind = 'propose' | 'activate' | 'push'

/** PLANNED -> NONCED -> SIGNED -> SENT -> MINED -> FINAL; VETOED ends a proposal that the chain dropped. */
type ItemState = 'PLANNED' | 'NONCED' | 'SIGNED' | 'SENT' | 'MINED' | 'FINAL' | 'VETOED'

/** Wei per gas (EIP-1559). */
export interface Fees {
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

/** One signed version. KMS signatures are not deterministic: the bytes are kept, never signed again. */
export interface Attempt extends Fees {
  raw: string
  hash: string
  /** Unix milliseconds. */
  at: number
}

export interface Item {
  epoch: number
  kind: ItemKind
  /** Number of the push batch; 0 for the others. */
  ordinal: number
  /** Root that this item is about, and how often its epoch was reopened after a veto: of another one it is another item. */
  root: string
  round: number
  state: ItemState
  to: string
  /** Calldata and gas limit, set with the nonce. */
  data: string
  gasLimit: bigint
  nonce: number | null
  attempts: Attempt[]
  minedHash: string | null
  minedBlock: number | null
  /** How often the chain mined it as failed, or gave its nonce to another transaction. */
  failures: number
  /** Why it ended without a transaction of ours, if so. */
  note: string
  /** Grows by one with every write. */
  version: number
}

export const newItem = (
  { number, root, round }: { number: number; root: string; round: number },
  kind: ItemKind,
  ordinal: number,
  to: string,
): Item => ({
  epoch: number,
  kind,
  ordinal,
  root,
  round,
  state: 'PLANNED',
  to,
  data: '0x',
  gasLimit: 0n,
  nonce: null,
  attempts: [],
  minedHash: null,
  minedBlock: null,
  failures: 0,
  note: '',
  version: 0,
})

export const itemName = (item: Pick<Item, 'kind' | 'ordinal'>): string =>
  item.kind === 'push' ? `PUSH#${String(item.ordinal).padStart(5, '0')}` : item.kind.toUpperCase()

export const isOpen = (item: Item): boolean => item.state !== 'FINAL' && item.state !== 'VETOED'

/** On the chain as far as the latest block goes. */
export const isMined = (item: Item): boolean => item.state === 'MINED' || item.state === 'FINAL'

/** The bytes that are in the network now: the newest version. */
export const liveAttempt = (item: Item): Attempt => {
  const attempt = item.attempts.at(-1)
  if (!attempt) throw new Error(`${itemName(item)} of epoch ${item.epoch} has no signed bytes`)
  return attempt
}
