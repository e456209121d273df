/** The payout rule as the property tests see it, real or with one line changed. */
import * as attribute from '../../../functions/attribution/payout/attribute-receipt.ts'
import * as shares from '../../../functions/attribution/payout/cluster-shares.ts'
import * as own from '../../../functions/attribution/payout/own-part.ts'
import * as credit from '../../../functions/attribution/payout/token-credit.ts'
import * as stream from '../../../functions/settlement/epoch/stream-calculator.ts'
import { load, type Mutation, mutatedRoom } from './mutant.ts'

export type Rule = Pick<typeof attribute, 'attributeReceipt'> &
  Pick<typeof shares, 'clusterEffects'> &
  Pick<typeof credit, 'creditTokens'> &
  Pick<typeof own, 'ownParts' | 'ownInfluence'> &
  Pick<typeof stream, 'streamCalculator'>

export const realRule: Rule = { ...attribute, ...shares, ...credit, ...own, ...stream }

const PAYOUT = 'functions/attribution/payout'
const EPOCH = 'functions/settlement/epoch'

/** Runs `use` with the rule changed in one of its two rooms. */
export const withMutant = async (mutations: readonly Mutation[], use: (rule: Rule) => Promise<void>): Promise<void> => {
  const room = mutations[0]!.file.includes('calculator') ? EPOCH : PAYOUT
  const { folder, remove } = mutatedRoom(room, mutations)
  try {
    const changed =
      room === PAYOUT
        ? {
            ...(await load<typeof attribute>(folder, 'attribute-receipt.ts')),
            ...(await load<typeof shares>(folder, 'cluster-shares.ts')),
            ...(await load<typeof credit>(folder, 'token-credit.ts')),
            ...(await load<typeof own>(folder, 'own-part.ts')),
          }
        : await load<typeof stream>(folder, 'stream-calculator.ts')
    await use({ ...realRule, ...changed })
  } finally {
    remove()
  }
}
