import { createHash } from 'node:crypto'
import type { Attribution } from '#schema/receipt'

/** The receipt of a training has no answer and no net fee: nothing is attributed, and its evidence is complete. */
export const TRAINING_ATTRIBUTION: Attribution = {
  status: 'unattributed',
  methodDigest: createHash('sha256').update('openledger-training-1').digest('hex'),
  missing: [],
  spans: [],
  totalBits: '0',
  provenance: [],
  influence: [],
  pools: { owner: '0', stakers: '0', provenance: '0', influence: '0', residual: '0' },
  shares: [],
  unattributed: '0',
}
