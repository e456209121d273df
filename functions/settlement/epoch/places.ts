/** Where the files of an epoch lie in the receipts bucket. */
const log = (epoch: number) => `receipt-log/epoch=${epoch}/`

export const places = {
  log,
  /** The fixed list of log objects: what came in later belongs to nobody's close. */
  objects: (epoch: number) => `${log(epoch)}objects.json`,
  inputs: (epoch: number) => `${log(epoch)}epoch-inputs.json`,
  previousBalances: (epoch: number) => `${log(epoch)}previous-balances.bin`,
  /** Written by the operator, on record: receipts that the close passes over, with reasons. */
  quarantined: (epoch: number) => `${log(epoch)}quarantined.json`,
  /** Signature over the receipts root, written when the epoch is recorded. */
  signature: (epoch: number) => `epochs/${epoch}/receipts-signature.json`,
  closed: (epoch: number, name: string) => `epochs/${epoch}/${name}`,
}
