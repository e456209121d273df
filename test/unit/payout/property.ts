import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Mutation } from './mutant.ts'
import { type Rule, realRule, withMutant } from './rule.ts'

// One seed, so that a mutant that is seen today is seen tomorrow; FC_SEED=random walks elsewhere.
fc.configureGlobal({ numRuns: 120, ...(process.env['FC_SEED'] === 'random' ? {} : { seed: 1612 }) })

/** A property of the rule: it holds for the real one and is seen to fail for each mutant. `check` throws when it fails. */
export const property = (
  name: string,
  check: (rule: Rule) => void | Promise<void>,
  mutants: Record<string, Mutation[]>,
): void => {
  describe(name, () => {
    it('holds', async () => {
      await check(realRule)
    })
    it.each(Object.entries(mutants))('fails when %s', async (_, mutations) => {
      await withMutant(mutations, async (rule) => {
        await expect((async () => check(rule))()).rejects.toThrow()
      })
    })
  })
}
