/** Keys of the registry table: every record kind in one place, so that no two rooms disagree. */
export interface Key {
  PK: string
  SK: string
}
const meta = (PK: string): Key => ({ PK, SK: 'META' })
const ordinal = (n: number): string => String(n).padStart(10, '0')

export const keys = {
  datanet: (id: string): Key => meta(`DATANET#${id}`),
  member: (datanetId: string, accountId: string): Key => ({ PK: `DATANET#${datanetId}`, SK: `MEMBER#${accountId}` }),
  contribution: (datanetId: string, id: string): Key => ({ PK: `DATANET#${datanetId}`, SK: `CONTRIBUTION#${id}` }),
  withdrawal: (datanetId: string, contribution: string, digest: string): Key => ({
    PK: `DATANET#${datanetId}`,
    SK: `WITHDRAWN#${contribution}#${digest}`,
  }),
  version: (datanetId: string, n: number): Key => ({ PK: `DATANET#${datanetId}`, SK: `VERSION#${ordinal(n)}` }),
  base: (id: string): Key => meta(`BASE#${id}`),
  pool: (baseId: string): Key => meta(`POOL#${baseId}`),
  servingPool: (baseId: string, bucket: number): Key => ({ PK: `POOL#${baseId}`, SK: `RANK#${ordinal(bucket)}` }),
  /** Instance-seconds of a day (UTC, yyyy-mm-dd). */
  hostingGate: (): Key => meta('HOSTING#gate'),
  hostingDay: (day: string): Key => meta(`HOSTING#${day}`),
  training: (id: string): Key => meta(`TRAINING#${id}`),
  adapter: (id: string): Key => meta(`ADAPTER#${id}`),
  /** name -> adapter id; replaced atomically on promote and rollback. */
  name: (name: string): Key => meta(`NAME#${name}`),
  account: (id: string): Key => meta(`ACCOUNT#${id}`),
  /** Keys of an account, for listing; the record itself is found by hash. */
  accountKey: (accountId: string, keyId: string): Key => ({ PK: `ACCOUNT#${accountId}`, SK: `KEY#${keyId}` }),
  apiKey: (hash: string): Key => meta(`APIKEY#${hash}`),
  /** The one account whose wallet proved an address; written once, never given to another. */
  address: (address: string): Key => meta(`ADDRESS#${address}`),
  /** `owner` has declared that `payer` is on its side. Stands with the payer, where the debit looks. */
  linkedPayer: (payer: string, owner: string): Key => ({ PK: `ACCOUNT#${payer}`, SK: `OWNER#${owner}` }),
}

/** Partition of the listing index (GSI1) for kinds that are listed as a whole. */
export const listing = {
  datanets: 'DATANETS',
  bases: 'BASES',
  names: 'NAMES',
  trainingsOf: (accountId: string): string => `TRAININGS#${accountId}`,
  accounts: 'ACCOUNTS',
}
